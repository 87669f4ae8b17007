//! The blob that a device is handed: everything its TPM needs to learn one HMAC key.

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand;
use zeroize::Zeroizing;

use super::duplicate::KeyObject;
use super::kdf::Label;
use super::public::{EndorsementKey, StorageRootKey};
use super::{cipher, credential, push_sized, secret};

/// Bytes of a key that TPMs are given: a SHA-256 digest's worth.
pub const HMAC_KEY_LENGTH: usize = 32;

/// The library had no randomness or memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the key could not be wrapped for the TPM")]
pub struct SealError;

impl From<Unspecified> for SealError {
    fn from(_: Unspecified) -> Self {
        Self
    }
}

/// A key that tokens are signed with inside a TPM. Wiped when dropped, never shown.
pub struct HmacKey(Zeroizing<[u8; HMAC_KEY_LENGTH]>);

/// What a device's TPM turns into an [`HmacKey`] of its own: `TPM2B_ID_OBJECT`,
/// `TPM2B_ENCRYPTED_SECRET`, `TPM2B_PRIVATE`, `TPM2B_ENCRYPTED_SECRET`, `TPM2B_PUBLIC` and a
/// `TPM2B_DATA` of encrypted text, one after the other. No secret: it says nothing to anybody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActivationBlob(Vec<u8>);

impl HmacKey {
    /// Takes the key's bytes.
    #[must_use]
    pub fn new(bytes: [u8; HMAC_KEY_LENGTH]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The key, to be encrypted for the TPM.
    #[must_use]
    pub fn bytes(&self) -> &[u8; HMAC_KEY_LENGTH] {
        &self.0
    }

    /// Wraps the key for the TPM that holds both keys.
    ///
    /// `text` says what the key is for. No known client looks at it, and several refuse
    /// a blob without it.
    ///
    /// # Errors
    /// When the library has no randomness or memory.
    pub fn seal(
        &self,
        endorsement: &EndorsementKey,
        storage_root: &StorageRootKey,
        text: &str,
    ) -> Result<ActivationBlob, SealError> {
        let parent = storage_root.parent();
        let mut inner = Zeroizing::new([0; cipher::KEY_LENGTH]);
        rand::fill(&mut *inner)?;
        let identity = secret::share(endorsement.parent(), Label::Identity)?;
        let duplicate = secret::share(parent, Label::Duplicate)?;
        let object = KeyObject::new(&self.0[..])?;
        let mut text = text.as_bytes().to_vec();
        cipher::encrypt(&inner[..], &mut text)?;

        let mut blob = Vec::with_capacity(1024);
        push_sized(
            &mut blob,
            &credential::make(&identity.seed, parent.name(), &inner[..])?,
        );
        push_sized(&mut blob, &identity.secret);
        push_sized(&mut blob, &object.wrap(&inner[..], &duplicate.seed)?);
        push_sized(&mut blob, &duplicate.secret);
        push_sized(&mut blob, object.public());
        push_sized(&mut blob, &text);
        Ok(ActivationBlob(blob))
    }
}

impl ActivationBlob {
    /// The bytes, of which the wire carries the base64.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for HmacKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HmacKey(redacted)")
    }
}
