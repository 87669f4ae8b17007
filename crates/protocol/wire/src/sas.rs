//! Shared access signatures: the tokens that stand for a key on every surface.
//!
//! `SharedAccessSignature sr={resource}&sig={base64 HMAC-SHA256}&se={unix seconds}[&skn={policy}]`,
//! where what is signed is the resource exactly as it was sent, a line feed, and the expiry.

mod build;
mod key;
mod scope;
mod verify;

use std::time::Duration;

pub use build::{Draft, build};
pub use key::{KeyError, SharedAccessKey};
pub use verify::{SasError, UnverifiedToken, VerifiedToken};

/// Longest token looked at, bytes. Real ones have about 300.
pub const MAX_TOKEN: usize = 4096;

/// The policy name that device daemons put into tokens for the provisioning service;
/// it names no policy.
pub const REGISTRATION_POLICY: &str = "registration";

/// How far the clock of a token's maker may lag behind the one that checks it. Device daemons make
/// tokens of 30 s.
pub const CLOCK_SKEW: Duration = Duration::from_secs(300);

const SCHEME: &str = "SharedAccessSignature";

/// All but RFC 3986's unreserved characters: how the Python SDK and `az iot` encode.
const RESERVED: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

pub(crate) fn percent_encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, RESERVED).to_string()
}
