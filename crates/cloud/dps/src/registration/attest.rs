//! Can the device prove its claim? Each kind of attestation is a file in here.

use std::sync::Arc;

use ids::{RegistrationId, Timestamp};
use pki::{Certificate, IssuerCache};
use provisioning::{EnrollmentKey, Provisioning};

use crate::registration::candidates::Candidates;
use crate::registration::claim::{ClaimedDevice, Evidence};
use crate::registration::credential::KeyPair;
use crate::registration::enrollment::{Attestation, Enrollment, EnrollmentMatch};
use crate::registration::not_proven::NotProven;
use crate::registration::refusal::RefusalReason;

mod symmetric_key;
mod tpm;
mod trace;
mod x509;

pub use tpm::{TpmProof, Tpms};
pub use trace::{Comparison, Credential, Finding, Trace};

use x509::ChainVerifier;

/// A device that proved to an enrollment that it is the one that it says it is.
/// Only this module makes one.
#[derive(Debug)]
pub struct AttestedDevice {
    registration_id: RegistrationId,
    enrollment: EnrollmentMatch,
    proof: Proof,
}

/// What a device proved itself with; the hub shall accept the same.
#[derive(Debug, Clone)]
pub enum Proof {
    Leaf(Certificate),
    Keys(KeyPair),
    Tpm(TpmProof),
}

/// What proofs are verified with, beside the enrollments.
#[derive(Clone, Copy)]
pub struct Verifiers<'a> {
    /// Issuers whose signatures were verified before.
    pub issuers: &'a IssuerCache,
    pub tpms: &'a Tpms,
    /// Knows which certificates are revoked.
    pub provisioning: &'a Provisioning,
}

/// Proves a claim against the enrollments that could let the device in. The first one that knows
/// the device decides. Every comparison goes to `trace`.
///
/// Fails when no enrollment knows the device, the one that decides is disabled or wants another
/// kind of proof, the proof fails, or a TPM has to answer a challenge first.
pub fn prove<T: Trace>(
    claim: ClaimedDevice<'_>,
    candidates: Candidates,
    verifiers: Verifiers<'_>,
    now: Timestamp,
    trace: &mut T,
) -> Result<AttestedDevice, NotProven> {
    let (proof, enrollment) = match (claim.evidence(), candidates) {
        (_, Candidates::Individual(enrollment)) => {
            by_individual(&claim, enrollment, verifiers, now, trace)?
        }
        (Evidence::Certificate(chain), Candidates::Groups(groups)) => {
            let verifier = ChainVerifier::new(chain, verifiers, now);
            let (leaf, matched) = x509::by_groups(&claim, verifier, &groups, trace)?;
            (Proof::Leaf(leaf), matched)
        }
        (Evidence::Token(token), Candidates::Groups(groups)) => {
            let (keys, matched) = symmetric_key::by_groups(&claim, token, &groups, now, trace)?;
            (Proof::Keys(keys), matched)
        }
        (Evidence::Tpm(_), Candidates::Groups(_)) => {
            let reason = RefusalReason::NotEnrolled { absent: None };
            return Err(claim.refuse(reason, None).into());
        }
    };
    Ok(AttestedDevice {
        registration_id: claim.registration_id().clone(),
        enrollment,
        proof,
    })
}

fn by_individual<T: Trace>(
    claim: &ClaimedDevice<'_>,
    enrollment: Arc<Enrollment>,
    verifiers: Verifiers<'_>,
    now: Timestamp,
    trace: &mut T,
) -> Result<(Proof, EnrollmentMatch), NotProven> {
    let key = enrollment.key().clone();
    let refuse = |reason| claim.refuse(reason, Some(&key));
    // Before any comparison: a disabled enrollment refuses its device, whatever that presents.
    let matched = EnrollmentMatch::enabled(enrollment).map_err(|reason| {
        record_any(trace, &key, &reason);
        refuse(reason)
    })?;
    let proof = match (matched.enrollment().attestation(), claim.evidence()) {
        (Attestation::Leaves(leaves), Evidence::Certificate(chain)) => {
            let verifier = ChainVerifier::new(chain, verifiers, now);
            x509::by_leaves(&key, verifier, leaves, trace).map(Proof::Leaf)
        }
        (Attestation::CaCertificates(cas), Evidence::Certificate(chain)) => {
            let verifier = ChainVerifier::new(chain, verifiers, now);
            x509::by_ca_certificates(&key, verifier, cas, trace).map(Proof::Leaf)
        }
        (Attestation::Keys(keys), Evidence::Token(token)) => {
            symmetric_key::by_own_keys(claim, token, (&key, keys), now, trace).map(Proof::Keys)
        }
        (Attestation::Tpm(enrolled), Evidence::Token(token)) => {
            let proof = verifiers.tpms.by_token(claim, token, enrolled, now);
            trace.record(|| Comparison::new(&key, Credential::Tpm, Finding::from(&proof)));
            proof.map(Proof::Tpm)
        }
        (Attestation::Tpm(enrolled), Evidence::Tpm(claimed)) => {
            let challenge = verifiers.tpms.challenge(claim, claimed, enrolled, now);
            return Err(NotProven::Challenged(Box::new(challenge.map_err(refuse)?)));
        }
        (wanted, _) => {
            let reason = claim.other_attestation(wanted.kind());
            record_any(trace, &key, &reason);
            Err(reason)
        }
    };
    Ok((proof.map_err(refuse)?, matched))
}

/// The enrollment refuses the device without comparing any credential.
fn record_any<T: Trace>(trace: &mut T, enrollment: &EnrollmentKey, reason: &RefusalReason) {
    let finding = || Finding::Fails(reason.clone());
    trace.record(|| Comparison::new(enrollment, Credential::Any, finding()));
}

impl AttestedDevice {
    pub fn registration_id(&self) -> &RegistrationId {
        &self.registration_id
    }

    /// The enrollment that let it in.
    pub fn matched(&self) -> &EnrollmentMatch {
        &self.enrollment
    }

    pub fn enrollment(&self) -> &Enrollment {
        self.enrollment.enrollment()
    }

    pub fn proof(&self) -> &Proof {
        &self.proof
    }
}
