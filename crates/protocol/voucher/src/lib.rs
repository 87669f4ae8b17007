//! Vouchers of a fleet: the devices of a batch and their credentials, signed by their maker and
//! endorsed from owner to owner.
//!
//! A voucher is JSON:
//!
//! ```json
//! {"voucher": "muster-fleet-voucher-1",
//!  "batch": {"protected": …, "payload": …, "signature": …},
//!  "endorsements": [{"protected": …, "payload": …, "signature": …}],
//!  "devices": [entry, …]}
//! ```
//!
//! - `batch` and each endorsement are flattened JSON Web Signatures (RFC 7515 7.2.2). The header
//!   is `{"alg": …, "typ": …}`; `typ` tells batches from endorsements, and `alg` is the one
//!   algorithm of the signer's key: ES256, ES384, ES512, PS256 or EdDSA.
//! - An entry is the base64url of a device's JSON: `id`, one of `certificate` (base64 of DER),
//!   `thumbprint` (SHA-256, hexadecimal) and `endorsementKey` (base64 of a `TPM2B_PUBLIC`), and
//!   `tags`. Its digest is the base64url of the SHA-256 of the entry as text, as in RFC 9901 4.2.3.
//! - The payload of the batch has `created`, `maker` (the key that signs it) and `devices`, the
//!   digests in ascending order. The maker is the first owner.
//! - The payload of an endorsement has `created`, `previous` (the base64url of the SHA-256 of
//!   `protected.payload.signature` of the link before it), `owner` (the next owner's key) and, where
//!   not all devices are passed on, `devices`. The owner until then signs it.
//! - The voucher has the entries of the devices that the last owner has, in the order of their
//!   digests, and no others.
//!
//! Keys are base64url of DER SubjectPublicKeyInfo. Base64url has no padding.

#![warn(missing_docs)]

mod device;
mod error;
mod link;
mod make;
mod verify;

pub use device::{Credential, Device};
pub use error::VoucherError;
pub use make::create;
pub use verify::{Link, Trust, VerifiedVoucher};

use serde::{Deserialize, Serialize};

use link::SignedLink;

/// The first member of a voucher.
pub const FORMAT: &str = "muster-fleet-voucher-1";
/// Most devices of a voucher.
pub const MAX_DEVICES: usize = 100_000;
/// Most endorsements of a voucher.
pub const MAX_ENDORSEMENTS: usize = 32;
/// Largest voucher, bytes.
pub const MAX_BYTES: usize = 256 * 1024 * 1024;

/// A voucher as it is stored. Nothing in it has been verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnverifiedVoucher {
    voucher: String,
    batch: SignedLink,
    endorsements: Vec<SignedLink>,
    devices: Vec<String>,
}

impl UnverifiedVoucher {
    /// Reads the text of a voucher.
    ///
    /// # Errors
    /// When it is not one of this format, or too large.
    pub fn parse(text: &str) -> Result<Self, VoucherError> {
        if text.len() > MAX_BYTES {
            return Err(VoucherError::TooLarge);
        }
        let voucher: Self =
            serde_json::from_str(text).map_err(|error| VoucherError::Form(error.to_string()))?;
        if voucher.voucher != FORMAT {
            return Err(VoucherError::OtherFormat);
        }
        if voucher.devices.len() > MAX_DEVICES {
            return Err(VoucherError::TooManyDevices);
        }
        if voucher.endorsements.len() > MAX_ENDORSEMENTS {
            return Err(VoucherError::TooManyEndorsements);
        }
        Ok(voucher)
    }

    /// The text of the voucher.
    ///
    /// # Errors
    /// Never, in effect: it holds texts only.
    pub fn to_json(&self) -> Result<String, VoucherError> {
        serde_json::to_string_pretty(self).map_err(|error| VoucherError::Form(error.to_string()))
    }
}
