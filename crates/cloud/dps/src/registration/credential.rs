//! What devices are recognised by: the keys and TPMs that enrollments
//! name and that devices present.

use ids::Timestamp;
use pki::tpm::{EndorsementKey, StorageRootKey, TpmKeyError};
use wire::binary::Base64Bytes;
use wire::device_api::register_request::TpmClaim;
use wire::sas::{CLOCK_SKEW, SasError, SharedAccessKey, UnverifiedToken};
use wire::service_api::identity::KeyText;

/// Two keys of equal rank, so that one can be rolled while the other is in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPair {
    pub primary: KeyText,
    pub secondary: KeyText,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeySlot {
    Primary,
    Secondary,
}

impl KeySlot {
    pub const BOTH: [Self; 2] = [Self::Primary, Self::Secondary];

    pub fn name(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Secondary => "secondary",
        }
    }
}

impl KeyPair {
    /// The keys of the device of this name in a group with these keys: base64
    /// of HMAC-SHA256 over the name.
    pub fn derived(&self, name: &str) -> Option<Self> {
        let derive = |key: &KeyText| {
            let key = SharedAccessKey::try_from(key).ok()?;
            KeyText::from_bytes(&key.sign(name.as_bytes())).ok()
        };
        Some(Self {
            primary: derive(&self.primary)?,
            secondary: derive(&self.secondary)?,
        })
    }

    /// Which of the keys in `slots` signed a token for `resource`. They are tried in order.
    ///
    /// Fails when the token has expired, is for another resource, or none of these keys signed it.
    pub fn signer<const N: usize>(
        &self,
        slots: [KeySlot; N],
        token: &UnverifiedToken,
        resource: &str,
        now: Timestamp,
    ) -> Result<KeySlot, SasError> {
        let parsed = slots.map(|slot| (slot, SharedAccessKey::try_from(self.key(slot))));
        // The last key that was asked for is the one that signed: no further one is tried then.
        let mut signer = KeySlot::Primary;
        let keys = parsed.iter().filter_map(|(slot, key)| {
            signer = *slot;
            key.as_ref().ok()
        });
        token.verify(keys, resource, now, CLOCK_SKEW)?;
        Ok(signer)
    }

    fn key(&self, slot: KeySlot) -> &KeyText {
        match slot {
            KeySlot::Primary => &self.primary,
            KeySlot::Secondary => &self.secondary,
        }
    }
}

/// A TPM by its public keys: the one that an enrollment names, or that a device says it has.
#[derive(Debug, Clone)]
pub struct TpmIdentity {
    pub endorsement: EndorsementKey,
    pub storage_root: Option<StorageRootKey>,
}

/// Which of a TPM's public keys cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnusableTpmKey {
    #[error("the endorsementKey is not usable: {0}")]
    Endorsement(TpmKeyError),
    #[error("the storageRootKey is not usable: {0}")]
    StorageRoot(TpmKeyError),
}

impl TpmIdentity {
    /// Parses the keys, each a `TPM2B_PUBLIC`.
    ///
    /// Fails when one of them is not a key of a TPM, or of a kind that nothing can be wrapped for.
    pub fn parse(endorsement: &[u8], storage_root: Option<&[u8]>) -> Result<Self, UnusableTpmKey> {
        let storage_root = storage_root.map(StorageRootKey::parse).transpose();
        Ok(Self {
            endorsement: EndorsementKey::parse(endorsement).map_err(UnusableTpmKey::Endorsement)?,
            storage_root: storage_root.map_err(UnusableTpmKey::StorageRoot)?,
        })
    }

    /// Parses what a device says about its TPM.
    pub fn claimed(claim: &TpmClaim) -> Result<Self, UnusableTpmKey> {
        let storage_root = claim.storage_root_key.as_ref();
        Self::parse(
            claim.endorsement_key.as_bytes(),
            storage_root.map(Base64Bytes::as_bytes),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_derived_key_of_the_documents_example() {
        // The example of how-to-legacy-device-symm-key.md.
        let master = "8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxk\
                      qIChbqOS9Egw==";
        let master = KeyText::parse(master).unwrap();
        let pair = KeyPair {
            primary: master.clone(),
            secondary: master,
        };
        let derived = pair
            .derived("sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6")
            .unwrap();
        assert_eq!(
            derived.primary.reveal(),
            "Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc="
        );
    }
}
