//! TPMs, individual enrollments only. Azure's `concepts-tpm-attestation.md`.
//!
//! A device asks twice. First it presents its TPM's public keys and is refused with a key that only
//! that TPM can unwrap; then it comes with a token that the key signed. That proves that the
//! endorsement key is the enrolled one and that the storage root key lives in the same TPM.

mod secret;
mod storage_roots;

use ids::Timestamp;
use pki::tpm::{ActivationBlob, HmacKey, SealError, StorageRootKey};
use wire::sas::{CLOCK_SKEW, SasError, SharedAccessKey, UnverifiedToken};
use wire::service_api::identity::KeyText;

use self::secret::{Subject, TpmSecret, Window};
use self::storage_roots::RecentStorageRoots;
use crate::registration::claim::ClaimedDevice;
use crate::registration::credential::{KeyPair, TpmIdentity};
use crate::registration::not_proven::Challenge;
use crate::registration::refusal::{RefusalReason, TpmRefusal};

/// The keys and the memory that a service attests TPMs with.
pub struct Tpms {
    secret: TpmSecret,
    storage_roots: RecentStorageRoots,
}

/// What the device of an attested TPM gets.
#[derive(Debug, Clone)]
pub struct TpmProof {
    /// The keys that the hub shall accept.
    pub keys: KeyPair,
    /// The first of them, wrapped for the TPM.
    pub sealed: ActivationBlob,
}

impl Tpms {
    /// `secret` is the service's.
    pub fn new(secret: &[u8]) -> Self {
        Self {
            secret: TpmSecret::new(secret),
            storage_roots: RecentStorageRoots::default(),
        }
    }

    /// The first request: sends the device a key that only the enrolled TPM can unwrap.
    pub(super) fn challenge(
        &self,
        claim: &ClaimedDevice<'_>,
        claimed: &TpmIdentity,
        enrolled: &TpmIdentity,
        now: Timestamp,
    ) -> Result<Challenge, RefusalReason> {
        let storage_root = agreed_root(claimed, enrolled)?;
        let storage_root = storage_root.ok_or(TpmRefusal::NoStorageRootKey)?;
        let subject = subject(claim, enrolled, storage_root);
        let window = Window::at(now);
        let device = (claim.id_scope().clone(), claim.registration_id().clone());
        self.storage_roots.remember(device, window, storage_root);
        let sealed = seal(&self.secret.challenge(&subject, window), &subject);
        Ok(Challenge {
            registration_id: claim.registration_id().clone(),
            sealed: sealed.map_err(TpmRefusal::Seal)?,
        })
    }

    /// The second request, and every one after it: the key of an open challenge signed the token.
    pub(super) fn by_token(
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
        let resource = claim.token_resource();
        for root in &roots {
            let subject = subject(claim, enrolled, root);
            let window = Window::at(now);
            let keys = [window, window.before()].map(|window| {
                let key = self.secret.challenge(&subject, window);
                SharedAccessKey::from_bytes(key.bytes().to_vec())
            });
            let keys = keys.iter().filter_map(|key| key.as_ref().ok());
            match token.verify(keys, &resource, now, CLOCK_SKEW) {
                Ok(_) => return Ok(self.proof(&subject)?),
                Err(SasError::Signature) => {}
                Err(other) => return Err(other.into()),
            }
        }
        Err(TpmRefusal::ChallengeFailed.into())
    }

    /// The storage root keys that the challenge may have been for; the token
    /// shows which one it was.
    fn storage_roots(
        &self,
        claim: &ClaimedDevice<'_>,
        enrolled: &TpmIdentity,
        now: Timestamp,
    ) -> Result<Vec<StorageRootKey>, TpmRefusal> {
        let root = match claim.repeated_tpm() {
            Some(claimed) => agreed_root(claimed, enrolled)?,
            None => enrolled.storage_root.as_ref(),
        };
        if let Some(root) = root {
            return Ok(vec![root.clone()]);
        }
        let device = (claim.id_scope().clone(), claim.registration_id().clone());
        Ok(self.storage_roots.latest_first(&device, Window::at(now)))
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

/// The storage root key that the device claims or its enrollment names, if the
/// two agree on the TPM.
fn agreed_root<'a>(
    claimed: &'a TpmIdentity,
    enrolled: &'a TpmIdentity,
) -> Result<Option<&'a StorageRootKey>, TpmRefusal> {
    if claimed.endorsement != enrolled.endorsement {
        return Err(TpmRefusal::OtherEndorsementKey);
    }
    match (&claimed.storage_root, &enrolled.storage_root) {
        (Some(claimed), Some(enrolled)) if claimed != enrolled => {
            Err(TpmRefusal::OtherStorageRootKey)
        }
        (claimed, enrolled) => Ok(claimed.as_ref().or(enrolled.as_ref())),
    }
}

fn subject<'a>(
    claim: &ClaimedDevice<'a>,
    enrolled: &'a TpmIdentity,
    storage_root: &'a StorageRootKey,
) -> Subject<'a> {
    Subject {
        id_scope: claim.id_scope(),
        registration_id: claim.registration_id(),
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
