//! Symmetric keys: a token signed with the enrollment's own key, or with one derived
//! from a group's. Azure's `concepts-symmetric-key-attestation.md`.

use std::sync::Arc;

use ids::Timestamp;
use provisioning::EnrollmentKey;
use wire::sas::{CLOCK_SKEW, SasError, UnverifiedToken};

use super::trace::{Comparison, Credential, Finding, Trace};
use crate::registration::claim::ClaimedDevice;
use crate::registration::credential::{KeyPair, KeySlot};
use crate::registration::enrollment::{Attestation, Enrollment, EnrollmentMatch};
use crate::registration::refusal::{Refusal, RefusalReason};

/// An individual enrollment's own keys; the hub accepts the same.
pub(super) fn by_own_keys<T: Trace>(
    claim: &ClaimedDevice<'_>,
    token: &UnverifiedToken,
    (enrollment, keys): (&EnrollmentKey, &KeyPair),
    now: Timestamp,
    trace: &mut T,
) -> Result<KeyPair, RefusalReason> {
    let resource = claim.token_resource();
    let mut decision = Err(RefusalReason::Token(SasError::Signature));
    for slot in KeySlot::BOTH {
        let signer = keys.signer([slot], token, &resource, now);
        let compared = signer.map_err(RefusalReason::Token);
        let with = || Credential::Key {
            slot,
            derived_for: None,
        };
        trace.record(|| Comparison::new(enrollment, with(), Finding::from(&compared)));
        if decision.is_err() {
            decision = compared;
        }
        if decision.is_ok() && !T::COMPLETE {
            break;
        }
    }
    decision.map(|_| keys.clone())
}

/// Keys derived from those of a group. A token does not say from which, so
/// that all groups are tried.
pub(super) fn by_groups<T: Trace>(
    claim: &ClaimedDevice<'_>,
    token: &UnverifiedToken,
    groups: &[Arc<Enrollment>],
    now: Timestamp,
    trace: &mut T,
) -> Result<(KeyPair, EnrollmentMatch), Box<Refusal>> {
    let resource = claim.token_resource();
    // A fault that no key can mend is found before any key is derived.
    let fault = match token.verify([], &resource, now, CLOCK_SKEW) {
        Ok(_) | Err(SasError::Signature) => None,
        Err(fault) => Some(RefusalReason::Token(fault)),
    };
    let mut decision = None;
    if fault.is_none() || T::COMPLETE {
        for group in groups {
            let Attestation::Keys(keys) = group.attestation() else {
                continue;
            };
            let signed = Derived::signer(claim, token, &resource, keys, now);
            let accepted = signed.as_ref().map_err(|error| error.clone().into());
            let accepted = accepted.and_then(|_| EnrollmentMatch::enabled(Arc::clone(group)));
            trace.record(|| compared(group.key(), signed.as_ref().ok(), &accepted));
            if let (Ok(signed), None) = (signed, &decision) {
                decision = Some((group, accepted.map(|matched| (signed.keys, matched))));
            }
            if decision.is_some() && !T::COMPLETE {
                break;
            }
        }
    }
    match decision {
        Some((group, accepted)) => {
            accepted.map_err(|reason| claim.refuse(reason, Some(group.key())))
        }
        None => Err(claim.refuse(fault.unwrap_or(RefusalReason::NoGroupKey), None)),
    }
}

fn compared(
    group: &EnrollmentKey,
    signed: Option<&Derived<'_>>,
    accepted: &Result<EnrollmentMatch, RefusalReason>,
) -> Comparison {
    let with = signed.map_or(Credential::Any, |signed| Credential::Key {
        slot: signed.signer,
        derived_for: Some(signed.name.to_owned()),
    });
    Comparison::new(group, with, Finding::from(accepted))
}

/// The keys of a device in a group, one of which signed its token.
struct Derived<'a> {
    keys: KeyPair,
    /// The name that they are derived for.
    name: &'a str,
    signer: KeySlot,
}

impl<'a> Derived<'a> {
    /// Operators are advised to derive keys from the lower-case id, and real devices send theirs
    /// as typed: both are tried.
    fn signer(
        claim: &ClaimedDevice<'a>,
        token: &UnverifiedToken,
        resource: &str,
        group: &KeyPair,
        now: Timestamp,
    ) -> Result<Self, SasError> {
        let id = claim.registration_id();
        let (typed, folded) = (id.as_str(), id.folded());
        let names = std::iter::once(typed).chain((typed != folded).then_some(folded));
        for name in names {
            let Some(keys) = group.derived(name) else {
                continue;
            };
            match keys.signer(KeySlot::BOTH, token, resource, now) {
                Ok(signer) => return Ok(Self { keys, name, signer }),
                Err(SasError::Signature) => {}
                Err(other) => return Err(other),
            }
        }
        Err(SasError::Signature)
    }
}
