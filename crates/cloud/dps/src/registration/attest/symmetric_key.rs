//! Symmetric keys: a token signed with the enrollment's own key, or with one derived from a group's.
//! Azure's `concepts-symmetric-key-attestation.md`.

use std::sync::Arc;

use ids::Timestamp;
use wire::sas::{SasError, SharedAccessKey, UnverifiedToken, VerifiedToken};
use wire::service_api::identity::KeyText;

use super::ClaimedDevice;
use crate::registration::candidates::EnrollmentMatch;
use crate::registration::enrollment::{Attestation, Entry};
use crate::registration::refusal::{Refusal, RefusalReason};

/// Two keys of equal worth, so that one can be rolled while the other is in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPair {
    /// In daily use.
    pub primary: KeyText,
    /// To roll over to.
    pub secondary: KeyText,
}

impl KeyPair {
    /// The keys of the device of this name in a group with these keys: base64 of HMAC-SHA256 over the name.
    #[must_use]
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

    fn verify(
        &self,
        claim: &ClaimedDevice<'_>,
        token: &UnverifiedToken,
        now: Timestamp,
    ) -> Result<VerifiedToken, SasError> {
        let keys = [&self.primary, &self.secondary].map(SharedAccessKey::try_from);
        let keys = keys.iter().filter_map(|key| key.as_ref().ok());
        claim.verify(token, keys, now)
    }
}

/// An individual enrollment's own keys; the hub accepts the same.
pub(crate) fn by_own_keys(
    claim: &ClaimedDevice<'_>,
    token: &UnverifiedToken,
    keys: &KeyPair,
    now: Timestamp,
) -> Result<KeyPair, RefusalReason> {
    keys.verify(claim, token, now)?;
    Ok(keys.clone())
}

/// Keys derived from those of a group. A token does not say from which, so all are tried.
pub(crate) fn by_group_keys(
    claim: &ClaimedDevice<'_>,
    token: &UnverifiedToken,
    groups: &[Arc<Entry>],
    now: Timestamp,
) -> Result<(KeyPair, EnrollmentMatch), Box<Refusal>> {
    // What is wrong with a token whatever its key is found before any key is derived.
    match claim.verify(token, [], now) {
        Ok(_) | Err(SasError::Signature) => {}
        Err(other) => return Err(claim.refuse(RefusalReason::Token(other), None)),
    }
    for group in groups {
        let keys = derived_of(claim, token, group, now);
        if let Some(keys) = keys.map_err(|error| claim.refuse(error.into(), None))? {
            let matched = EnrollmentMatch::of_enabled(Arc::clone(group));
            let matched = matched.map_err(|r| claim.refuse(r, Some(group.key())))?;
            return Ok((keys, matched));
        }
    }
    Err(claim.refuse(RefusalReason::NoGroupKey, None))
}

/// The device's keys in a group, if one of them signed the token. Operators are told to derive from the lower-case id, and
/// real devices send theirs as typed: both are tried.
fn derived_of(
    claim: &ClaimedDevice<'_>,
    token: &UnverifiedToken,
    group: &Entry,
    now: Timestamp,
) -> Result<Option<KeyPair>, SasError> {
    let Attestation::Keys(master) = group.attestation() else {
        return Ok(None);
    };
    let (typed, folded) = (
        claim.registration_id.as_str(),
        claim.registration_id.folded(),
    );
    let names = std::iter::once(typed).chain((typed != folded).then_some(folded));
    for keys in names.filter_map(|name| master.derived(name)) {
        match keys.verify(claim, token, now) {
            Ok(_) => return Ok(Some(keys)),
            Err(SasError::Signature) => {}
            Err(other) => return Err(other),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_derived_key_of_the_documents_example() {
        // The example of how-to-legacy-device-symm-key.md.
        let master = "8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqOS9Egw==";
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
