//! How each candidate takes a claim, one after the other and to the end. For operators: nothing is decided here, and nobody is let
//! in by it. The checks are those of the proof.

use std::sync::Arc;

use ids::{Thumbprint, Timestamp};
use pki::{Certificate, PresentedChain, pin_leaf, verify_to_anchor};
use provisioning::EnrollmentKey;
use wire::sas::{SasError, SharedAccessKey, UnverifiedToken};
use wire::service_api::identity::KeyText;

use super::{ClaimedDevice, Evidence, KeyPair, Verifiers, x509};
use crate::registration::candidates::{Candidates, EnrollmentMatch};
use crate::registration::enrollment::{Anchor, Attestation, Entry};
use crate::registration::refusal::RefusalReason;

/// One certificate, key or TPM of an enrollment, and how it took what was shown.
#[derive(Debug, Clone)]
pub struct Trial {
    /// Of which enrollment.
    pub key: EnrollmentKey,
    /// What of it.
    pub by: Means,
    /// Whether it matched.
    pub outcome: Outcome,
}

/// What of an enrollment a claim was compared with.
#[derive(Debug, Clone)]
pub enum Means {
    /// Nothing: the entry as a whole decides.
    Entry,
    /// The certificate of a CA.
    Anchor(Certificate),
    /// A device's own certificate.
    Leaf(Thumbprint),
    /// A key, and the name that the device's was derived from it for.
    Key(&'static str, Option<String>),
    /// The TPM.
    Tpm,
}

/// How it took the claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It vouches for the device.
    Matched,
    /// It does not.
    Not(RefusalReason),
    /// The chain leads to it, past the certificate of this other one, which is nearer and decides.
    Nearer(EnrollmentKey),
    /// There is no such entry.
    Absent,
}

impl From<Result<(), RefusalReason>> for Outcome {
    fn from(result: Result<(), RefusalReason>) -> Self {
        result.map_or_else(Self::Not, |()| Self::Matched)
    }
}

/// Tries every candidate, in the order of precedence.
#[must_use]
pub fn trials(
    claim: &ClaimedDevice<'_>,
    candidates: &Candidates,
    verifiers: Verifiers<'_>,
    now: Timestamp,
) -> Vec<Trial> {
    match (&claim.evidence, candidates) {
        // A TPM has to answer a challenge; nothing can be said before.
        (Evidence::Tpm(_), _) => Vec::new(),
        (_, Candidates::Individual(entry)) => individual(claim, entry, verifiers, now),
        (Evidence::Certificate(chain), Candidates::Groups(groups)) => x509::anchors(groups)
            .map(|(group, anchor)| Trial {
                key: group.key().clone(),
                by: Means::Anchor(anchor.certificate().clone()),
                outcome: by_anchor(chain, groups, (group, anchor), verifiers, now),
            })
            .collect(),
        (Evidence::Token(token), Candidates::Groups(groups)) => groups
            .iter()
            .filter_map(|group| by_master(claim, token, group, now))
            .collect(),
    }
}

fn individual(
    claim: &ClaimedDevice<'_>,
    entry: &Arc<Entry>,
    verifiers: Verifiers<'_>,
    now: Timestamp,
) -> Vec<Trial> {
    let trial = |by, result: Result<(), RefusalReason>| Trial {
        key: entry.key().clone(),
        by,
        outcome: result.into(),
    };
    if let Err(disabled) = EnrollmentMatch::of_enabled(entry.clone()) {
        return vec![trial(Means::Entry, Err(disabled))];
    }
    match (entry.attestation(), &claim.evidence) {
        (Attestation::Leaves(leaves), Evidence::Certificate(chain)) => leaves
            .iter()
            .map(|leaf| trial(Means::Leaf(*leaf), by_leaf(chain, *leaf, now)))
            .collect(),
        (Attestation::Anchors(anchors), Evidence::Certificate(chain)) => anchors
            .iter()
            .map(|anchor| {
                let own = std::slice::from_ref(anchor);
                let result = x509::by_ca_certificate(chain, own, verifiers.issuers, now);
                let by = Means::Anchor(anchor.certificate().clone());
                trial(by, result.map(|_| ()))
            })
            .collect(),
        (Attestation::Keys(keys), Evidence::Token(token)) => both(keys)
            .map(|(slot, key)| {
                let result = by_key(claim, token, key, now).map_err(RefusalReason::Token);
                trial(Means::Key(slot, None), result)
            })
            .into(),
        (Attestation::Tpm(enrolled), Evidence::Token(token)) => {
            let result = verifiers.tpms.by_token(claim, token, enrolled, now);
            vec![trial(Means::Tpm, result.map(|_| ()))]
        }
        (wanted, _) => vec![trial(Means::Entry, Err(claim.wrong_kind(wanted)))],
    }
}

fn by_leaf(chain: &PresentedChain, leaf: Thumbprint, now: Timestamp) -> Result<(), RefusalReason> {
    if chain.leaf().sha256() != leaf {
        return Err(RefusalReason::NotPinned);
    }
    Ok(pin_leaf(chain, leaf, now).map(|_| ())?)
}

fn by_anchor(
    shown: &PresentedChain,
    groups: &[Arc<Entry>],
    (group, anchor): (&Arc<Entry>, &Anchor),
    verifiers: Verifiers<'_>,
    now: Timestamp,
) -> Outcome {
    let chain = match verify_to_anchor(shown, anchor.certificate(), now, verifiers.issuers) {
        Ok(chain) => chain,
        Err(fault) => return Outcome::Not(fault.into()),
    };
    if let Some((nearer, _)) = x509::nearest_on(&chain, groups) {
        return Outcome::Nearer(nearer.key().clone());
    }
    EnrollmentMatch::of_enabled(group.clone())
        .and_then(|_| anchor.require_trusted(shown))
        .into()
}

/// The first key of a group that signed, or what is wrong with the token. `None` for a group without keys.
fn by_master(
    claim: &ClaimedDevice<'_>,
    token: &UnverifiedToken,
    group: &Arc<Entry>,
    now: Timestamp,
) -> Option<Trial> {
    let Attestation::Keys(master) = group.attestation() else {
        return None;
    };
    let trial = |by, outcome| Trial {
        key: group.key().clone(),
        by,
        outcome,
    };
    let id = claim.registration_id;
    let typed_first = [id.as_str(), id.folded()];
    let mut fault = SasError::Signature;
    for name in typed_first {
        let Some(keys) = master.derived(name) else {
            continue;
        };
        for (slot, key) in both(&keys) {
            match by_key(claim, token, key, now) {
                Ok(()) => {
                    let by = Means::Key(slot, Some(name.to_owned()));
                    let enabled = EnrollmentMatch::of_enabled(group.clone());
                    return Some(trial(by, enabled.map(|_| ()).into()));
                }
                Err(other) => fault = other,
            }
        }
    }
    Some(trial(
        Means::Entry,
        Outcome::Not(RefusalReason::Token(fault)),
    ))
}

fn both(keys: &KeyPair) -> [(&'static str, &KeyText); 2] {
    [("primary", &keys.primary), ("secondary", &keys.secondary)]
}

fn by_key(
    claim: &ClaimedDevice<'_>,
    token: &UnverifiedToken,
    key: &KeyText,
    now: Timestamp,
) -> Result<(), SasError> {
    let key = SharedAccessKey::try_from(key).ok();
    claim.verify(token, key.as_ref(), now).map(|_| ())
}
