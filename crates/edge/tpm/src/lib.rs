//! TPM 2.0: the commands that this device needs, over a TCTI.
//!
//! [`Tpm`] proves by its endorsement key who the device is, imports the keys that a provisioning
//! service wraps for it, signs tokens with them, and makes keys for X.509 certificates. Its calls
//! block: a TPM answers after milliseconds or, when it makes an RSA key, after a minute.
//!
//! Each call opens a connection of its own and flushes what it loaded, also after an error: a
//! simulator serves one connection at a time, and a TPM has room for three loaded objects. Names of
//! structures and commands are those of the TPM 2.0 Library specification, parts 2 and 3.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        reason = "a test that meets an error has failed and may say so by panicking"
    )
)]

mod tcti;

mod channel;
mod code;
mod command;
mod commands;
mod connection;
mod error;

mod public;

mod attestation;
mod key_file;
mod nv;
mod primary;
mod rsa_padding;
mod signing_key;
mod tpm;

pub use attestation::{BlobFault, ImportedKey, PublicKeys};
pub use code::ResponseCode;
pub use command::{AnswerFault, read_answer};
pub use error::TpmError;
pub use key_file::{KeyFileError, WrappedKey, is_key_file};
pub use nv::EndorsementCertificate;
pub use public::{Public, PublicFault};
pub use signing_key::{KeyPlace, NewKey, SigningKey};
pub use tcti::{Tcti, TctiError};
pub use tpm::{About, Authorization, Tpm, TpmSettings, key_handle};
