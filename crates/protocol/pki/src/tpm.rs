//! Secrets sealed so that one TPM 2.0 alone can read them, made without a TPM.
//!
//! A device shows the public halves of two keys: the [`EndorsementKey`] is who the TPM is, the
//! [`StorageRootKey`] is where it keeps other keys. Both must be keys that never leave the TPM
//! which made them, or they are not parsed. [`HmacKey::seal`] wraps a key so that only a TPM that
//! holds both can load it: that is the proof by credential activation, and the way a device gets
//! its key for the hub. What comes out is an [`ActivationBlob`].
//!
//! Names of structures are those of the TPM 2.0 Library specification; parts 1 and 2 define
//! what is done here.

mod activation;
mod cipher;
mod credential;
mod duplicate;
mod kdf;
mod public;
mod read;
mod secret;

pub use activation::{ActivationBlob, HMAC_KEY_LENGTH, HmacKey, SealError};
pub use public::{EndorsementKey, MAX_PUBLIC_BYTES, StorageRootKey, TpmKeyError};
pub use read::{Reader, TooShort};

/// Appends a `TPM2B`: two bytes of length, then the bytes. What is built here is far
/// shorter than 64 KiB.
pub fn push_sized(into: &mut Vec<u8>, bytes: &[u8]) {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    into.extend_from_slice(&length.to_be_bytes());
    into.extend_from_slice(bytes);
}

/// A `TPM2B` of its own.
fn sized(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(2 + bytes.len());
    push_sized(&mut out, bytes);
    out
}
