//! TPMs, individual enrollments only. Azure's `concepts-tpm-attestation.md`.
//!
//! A device asks twice. First it shows its TPM's public keys and is refused with a key that only that TPM can unwrap; then it
//! comes with a token that the key signed. That it can is the proof: the endorsement key is the enrolled one, and the storage
//! root key lives in the same TPM.

mod secret;
mod shown;

use ids::{RegistrationId, Timestamp};
use pki::tpm::{ActivationBlob, EndorsementKey, HmacKey, SealError, StorageRootKey, TpmKeyError};
use provisioning::ProvisioningService;
use wire::binary::Base64Bytes;
use wire::device_api::registration::TpmClaim;
use wire::sas::{SasError, SharedAccessKey, UnverifiedToken};
use wire::service_api::identity::KeyText;

use self::secret::{Subject, TpmSecret, Window};
use self::shown::ShownKeys;
use super::{ClaimedDevice, KeyPair};
use crate::registration::refusal::RefusalReason;

/// A TPM by its public keys: the one that an enrollment names, or that a device says it has.
#[derive(Debug, Clone)]
pub struct TpmIdentity {
    endorsement: EndorsementKey,
    storage_root: Option<StorageRootKey>,
}

impl TpmIdentity {
    /// Reads the keys, each a `TPM2B_PUBLIC`.
    ///
    /// # Errors
    /// When one of them is not a key of a TPM, or of a kind that nothing can be wrapped for.
    pub fn read(endorsement: &[u8], storage_root: Option<&[u8]>) -> Result<Self, UnusableTpmKey> {
        let storage_root = storage_root.map(StorageRootKey::parse).transpose();
        Ok(Self {
            endorsement: EndorsementKey::parse(endorsement).map_err(UnusableTpmKey::Endorsement)?,
            storage_root: storage_root.map_err(UnusableTpmKey::StorageRoot)?,
        })
    }

    /// Reads what a device shows.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn shown(claim: &TpmClaim) -> Result<Self, UnusableTpmKey> {
        let storage_root = claim.storage_root_key.as_ref();
        Self::read(
            claim.endorsement_key.as_bytes(),
            storage_root.map(Base64Bytes::as_bytes),
        )
    }
}

/// Which key is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnusableTpmKey {
    /// The endorsement key.
    #[error("the endorsementKey is not usable: {0}")]
    Endorsement(TpmKeyError),
    /// The storage root key.
    #[error("the storageRootKey is not usable: {0}")]
    StorageRoot(TpmKeyError),
}

/// Why a TPM is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TpmRefusal {
    /// It is another TPM than the enrolled one.
    #[error(
        "the device's TPM has another endorsement key than the enrollment; update the enrollment, or it is another device"
    )]
    OtherEndorsementKey,
    /// The enrolled TPM with another storage root key.
    #[error(
        "the device's TPM has another storage root key than the enrollment, as after its ownership was cleared; update the enrollment or remove the key from it"
    )]
    OtherStorageRootKey,
    /// What it shows are no keys of a TPM.
    #[error(transparent)]
    Key(#[from] UnusableTpmKey),
    /// No key to wrap for.
    #[error("neither the device nor its enrollment names a storage root key; one of them must")]
    NoStorageRootKey,
    /// A token, and no challenge is open that it could answer.
    #[error(
        "the device shows a token and was not challenged lately, or before this server started; it has to register anew, without a token"
    )]
    NotChallenged,
    /// The token is not signed with the key of any open challenge.
    #[error(
        "the token is not signed with the key that the TPM was sent; the challenge is too old, or the TPM holds another key"
    )]
    ChallengeFailed,
    /// The transport has no place for a challenge.
    #[error("a TPM is attested over HTTPS only; configure the device to register over HTTPS")]
    NeedsHttps,
    /// The library failed.
    #[error(transparent)]
    Seal(#[from] SealError),
}

impl TpmRefusal {
    /// A stable name for logs, metrics and programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::OtherEndorsementKey => "tpm_ek_mismatch",
            Self::OtherStorageRootKey => "tpm_srk_mismatch",
            Self::Key(_) => "tpm_key_unsupported",
            Self::NoStorageRootKey => "tpm_srk_absent",
            Self::NotChallenged => "tpm_not_challenged",
            Self::ChallengeFailed => "tpm_challenge_failed",
            Self::NeedsHttps => "tpm_needs_https",
            Self::Seal(_) => "tpm_seal_failed",
        }
    }
}

/// What a service needs to attest TPMs.
pub struct Tpms {
    secret: TpmSecret,
    shown: ShownKeys,
}

/// What a device is asked to prove its TPM with.
#[derive(Debug)]
pub struct Challenge {
    /// Who asked.
    pub registration_id: RegistrationId,
    /// The key to sign a token with, wrapped for the TPM.
    pub sealed: ActivationBlob,
}

/// What the device of an attested TPM is given.
#[derive(Debug, Clone)]
pub struct TpmProof {
    /// The keys that the hub shall accept.
    pub keys: KeyPair,
    /// The first of them, wrapped for the TPM.
    pub sealed: ActivationBlob,
}

impl Tpms {
    /// Those of a service, from its secret.
    #[must_use]
    pub fn of(service: &ProvisioningService) -> Self {
        Self::new(service.operation_key.reveal())
    }

    fn new(secret: &[u8]) -> Self {
        Self {
            secret: TpmSecret::new(secret),
            shown: ShownKeys::default(),
        }
    }

    /// The first request: shows the device what only the enrolled TPM can open.
    pub(crate) fn challenge(
        &self,
        claim: &ClaimedDevice<'_>,
        shown: &TpmIdentity,
        enrolled: &TpmIdentity,
        now: Timestamp,
    ) -> Result<Challenge, RefusalReason> {
        let storage_root = agreed_root(shown, enrolled)?;
        let storage_root = storage_root.ok_or(TpmRefusal::NoStorageRootKey)?;
        let subject = subject(claim, enrolled, storage_root);
        let window = Window::of(now);
        let device = (claim.id_scope.clone(), claim.registration_id.clone());
        self.shown.remember(device, window, storage_root);
        let sealed = seal(&self.secret.challenge(&subject, window), &subject);
        Ok(Challenge {
            registration_id: claim.registration_id.clone(),
            sealed: sealed.map_err(TpmRefusal::Seal)?,
        })
    }

    /// The second request, and every one after it: the key of an open challenge signed the token.
    pub(crate) fn by_token(
        &self,
        claim: &ClaimedDevice<'_>,
        token: &UnverifiedToken,
        enrolled: &TpmIdentity,
        now: Timestamp,
    ) -> Result<TpmProof, RefusalReason> {
        let roots = self.storage_roots(claim, enrolled, now)?;
        if roots.is_empty() {
            return Err(TpmRefusal::NotChallenged.into());
        }
        for root in &roots {
            let subject = subject(claim, enrolled, root);
            let window = Window::of(now);
            let keys = [window, window.before()].map(|window| {
                let key = self.secret.challenge(&subject, window);
                SharedAccessKey::from_bytes(key.bytes().to_vec())
            });
            let keys = keys.iter().filter_map(|key| key.as_ref().ok());
            match claim.verify(token, keys, now) {
                Ok(_) => return Ok(self.proof(&subject)?),
                Err(SasError::Signature) => {}
                Err(other) => return Err(other.into()),
            }
        }
        Err(TpmRefusal::ChallengeFailed.into())
    }

    /// Which storage root keys the challenge may have been for; the token tells which one it was.
    fn storage_roots(
        &self,
        claim: &ClaimedDevice<'_>,
        enrolled: &TpmIdentity,
        now: Timestamp,
    ) -> Result<Vec<StorageRootKey>, TpmRefusal> {
        let root = match &claim.repeated_tpm {
            Some(shown) => agreed_root(shown, enrolled)?,
            None => enrolled.storage_root.as_ref(),
        };
        if let Some(root) = root {
            return Ok(vec![root.clone()]);
        }
        let device = (claim.id_scope.clone(), claim.registration_id.clone());
        Ok(self.shown.of(&device, Window::of(now)))
    }

    fn proof(&self, subject: &Subject<'_>) -> Result<TpmProof, TpmRefusal> {
        let primary = self.secret.hub(subject);
        let text = |key: &HmacKey| KeyText::from_bytes(key.bytes()).map_err(|_| SealError);
        Ok(TpmProof {
            keys: KeyPair {
                primary: text(&primary)?,
                secondary: text(&self.secret.hub_secondary(subject))?,
            },
            sealed: seal(&primary, subject)?,
        })
    }
}

/// The storage root key that a device shows, or its enrollment names, if the two agree on the TPM.
fn agreed_root<'a>(
    shown: &'a TpmIdentity,
    enrolled: &'a TpmIdentity,
) -> Result<Option<&'a StorageRootKey>, TpmRefusal> {
    if shown.endorsement != enrolled.endorsement {
        return Err(TpmRefusal::OtherEndorsementKey);
    }
    match (&shown.storage_root, &enrolled.storage_root) {
        (Some(shown), Some(enrolled)) if shown != enrolled => Err(TpmRefusal::OtherStorageRootKey),
        (shown, enrolled) => Ok(shown.as_ref().or(enrolled.as_ref())),
    }
}

fn subject<'a>(
    claim: &ClaimedDevice<'a>,
    enrolled: &'a TpmIdentity,
    storage_root: &'a StorageRootKey,
) -> Subject<'a> {
    Subject {
        id_scope: claim.id_scope,
        registration_id: claim.registration_id,
        endorsement: &enrolled.endorsement,
        storage_root,
    }
}

fn seal(key: &HmacKey, subject: &Subject<'_>) -> Result<ActivationBlob, SealError> {
    let text = format!(
        "{}/registrations/{}",
        subject.id_scope, subject.registration_id
    );
    key.seal(subject.endorsement, subject.storage_root, &text)
}

#[cfg(test)]
mod tests;
