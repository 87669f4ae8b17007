//! Who is asking, and can it prove that? Each kind of attestation is a file in here.

use ids::{IdScope, RegistrationId, Timestamp};
use pki::{Certificate, IssuerCache, PresentedChain};
use registry::EnrollmentKey;
use wire::dps::TpmClaim;
use wire::sas::UnverifiedToken;

use crate::enrollment::{Attestation, Candidates, EnrollmentMatch};
use crate::presented::Presented;
use crate::refusal::{Refusal, RefusalReason};

mod symmetric_key;
mod x509;

pub use symmetric_key::KeyPair;

/// Who a device says it is, and by what it wants to prove it. Nobody has vouched for it yet.
#[derive(Debug, Clone)]
pub struct ClaimedDevice<'a> {
    id_scope: &'a IdScope,
    registration_id: &'a RegistrationId,
    evidence: Evidence<'a>,
}

/// The means of proof that a claim rests on: one of those presented.
#[derive(Debug, Clone)]
pub enum Evidence<'a> {
    /// A certificate that names the same id; the handshake proved that the device has its key.
    Certificate(&'a PresentedChain),
    /// A token, not verified.
    Token(UnverifiedToken),
    /// The public keys of a TPM, without a token yet.
    #[expect(dead_code, reason = "read once a TPM can be enrolled")]
    Tpm(&'a TpmClaim),
}

/// A device that proved to be the one it says it is, to the satisfaction of an enrollment. Only this module makes one.
#[derive(Debug)]
pub struct AttestedDevice {
    registration_id: RegistrationId,
    enrollment: EnrollmentMatch,
    proof: Proof,
}

/// What a device proved itself with; the hub shall accept the same.
#[derive(Debug, Clone)]
pub enum Proof {
    /// Its leaf certificate.
    Leaf(Certificate),
    /// One of these keys.
    Keys(KeyPair),
}

/// Reads the claim of a device. A token counts before a certificate: whoever sends one means it, while a certificate may
/// come along because the TLS library had one.
///
/// # Errors
/// When there is nothing to prove anything with, the token is none, or the certificate names nobody or somebody else.
pub fn claim<'a>(
    id_scope: &'a IdScope,
    registration_id: &'a RegistrationId,
    presented: Presented<'a>,
) -> Result<ClaimedDevice<'a>, Box<Refusal>> {
    let refuse = |reason| Refusal::of(registration_id, presented.chain, None, reason);
    let evidence = match (presented.token, presented.tpm, presented.chain) {
        (Some(token), _, _) => UnverifiedToken::parse(token.reveal())
            .map(Evidence::Token)
            .map_err(|error| refuse(RefusalReason::Token(error)))?,
        (None, Some(tpm), _) => Evidence::Tpm(tpm),
        (None, None, Some(chain)) => {
            Evidence::Certificate(x509::named(chain, registration_id).map_err(refuse)?)
        }
        (None, None, None) => return Err(refuse(RefusalReason::NoCredential)),
    };
    Ok(ClaimedDevice {
        id_scope,
        registration_id,
        evidence,
    })
}

/// Proves a claim against the enrollments that could speak for it. The first one that knows the device decides.
///
/// # Errors
/// When none does, the one that decides is disabled or wants another kind of proof, or the proof does not hold.
pub fn prove(
    claim: ClaimedDevice<'_>,
    candidates: Candidates,
    issuers: &IssuerCache,
    now: Timestamp,
) -> Result<AttestedDevice, Box<Refusal>> {
    let (proof, enrollment) = match (&claim.evidence, candidates) {
        (evidence, Candidates::Individual(entry)) => {
            let key = entry.key().clone();
            let refuse = |reason| claim.refuse(reason, Some(&key));
            // Before anything is looked at: a disabled entry keeps its device out, whatever it shows.
            let matched = EnrollmentMatch::of_enabled(entry).map_err(refuse)?;
            let proof = match (matched.entry().attestation(), evidence) {
                (Attestation::Leaves(leaves), Evidence::Certificate(chain)) => {
                    x509::by_leaf(chain, leaves, now).map(Proof::Leaf)
                }
                (Attestation::Keys(keys), Evidence::Token(token)) => {
                    symmetric_key::by_own_keys(&claim, token, keys, now).map(Proof::Keys)
                }
                (wanted, _) => Err(claim.wrong_kind(wanted)),
            };
            (proof.map_err(refuse)?, matched)
        }
        (Evidence::Certificate(chain), Candidates::Groups(groups)) => {
            let (leaf, matched) = x509::by_issuer(&claim, chain, &groups, issuers, now)?;
            (Proof::Leaf(leaf), matched)
        }
        (Evidence::Token(token), Candidates::Groups(groups)) => {
            let (keys, matched) = symmetric_key::by_group_keys(&claim, token, &groups, now)?;
            (Proof::Keys(keys), matched)
        }
        (Evidence::Tpm(_), Candidates::Groups(_)) => {
            return Err(claim.refuse(RefusalReason::NotEnrolled, None));
        }
    };
    Ok(AttestedDevice {
        registration_id: claim.registration_id.clone(),
        enrollment,
        proof,
    })
}

impl<'a> ClaimedDevice<'a> {
    /// Who it says it is.
    #[must_use]
    pub fn registration_id(&self) -> &'a RegistrationId {
        self.registration_id
    }

    /// By what it wants to prove that.
    #[must_use]
    pub fn evidence(&self) -> &Evidence<'a> {
        &self.evidence
    }

    /// Refuses the claim; `enrollment` is the entry that decided, if one did.
    #[must_use]
    pub fn refuse(
        &self,
        reason: RefusalReason,
        enrollment: Option<&EnrollmentKey>,
    ) -> Box<Refusal> {
        let chain = match self.evidence {
            Evidence::Certificate(chain) => Some(chain),
            Evidence::Token(_) | Evidence::Tpm(_) => None,
        };
        Refusal::of(self.registration_id, chain, enrollment, reason)
    }

    fn wrong_kind(&self, wanted: &Attestation) -> RefusalReason {
        RefusalReason::OtherAttestation {
            enrolled: wanted.kind().name(),
            shown: match self.evidence {
                Evidence::Certificate(_) => "a certificate",
                Evidence::Token(_) => "a token",
                Evidence::Tpm(_) => "a TPM",
            },
        }
    }
}

impl AttestedDevice {
    /// Who it is.
    #[must_use]
    pub fn registration_id(&self) -> &RegistrationId {
        &self.registration_id
    }

    /// The enrollment that let it in.
    #[must_use]
    pub fn enrollment(&self) -> &EnrollmentMatch {
        &self.enrollment
    }

    /// What it proved itself with.
    #[must_use]
    pub fn proof(&self) -> &Proof {
        &self.proof
    }
}
