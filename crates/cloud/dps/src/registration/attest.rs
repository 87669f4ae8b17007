//! Who is asking, and can it prove that? Each kind of attestation is a file in here.

use std::sync::Arc;
use std::time::Duration;

use ids::{IdScope, RegistrationId, Timestamp};
use pki::{Certificate, IssuerCache, PresentedChain};
use provisioning::EnrollmentKey;
use wire::sas::{SasError, SharedAccessKey, UnverifiedToken, VerifiedToken};

use crate::registration::candidates::{Candidates, EnrollmentMatch};
use crate::registration::enrollment::{Attestation, Entry};
use crate::registration::presented::Presented;
use crate::registration::refusal::{NotProven, Refusal, RefusalReason};

mod symmetric_key;
mod tpm;
mod trial;
mod x509;

pub use symmetric_key::KeyPair;
pub use tpm::{Challenge, TpmIdentity, TpmProof, TpmRefusal, Tpms, UnusableTpmKey};
pub use trial::{Means, Outcome, Trial, trials};

/// How far a device's clock may lag. Device daemons make tokens that live 30 s and show the same one with every poll.
pub const SKEW: Duration = Duration::from_secs(300);

/// Who a device says it is, and by what it wants to prove it. Nobody has vouched for it yet.
#[derive(Debug, Clone)]
pub struct ClaimedDevice<'a> {
    id_scope: &'a IdScope,
    registration_id: &'a RegistrationId,
    evidence: Evidence<'a>,
    /// What came along with a token: some clients show their TPM with it again.
    repeated_tpm: Option<TpmIdentity>,
}

/// The means of proof that a claim rests on: one of those presented.
#[derive(Debug, Clone)]
pub enum Evidence<'a> {
    /// A certificate that names the same id; the handshake proved that the device has its key.
    Certificate(&'a PresentedChain),
    /// A token, not verified.
    Token(UnverifiedToken),
    /// A TPM, without a token yet: the device asks to be challenged.
    Tpm(Box<TpmIdentity>),
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
    /// Its TPM.
    Tpm(TpmProof),
}

/// What proofs are judged with, beside the enrollments.
#[derive(Clone, Copy)]
pub struct Verifiers<'a> {
    /// Issuers that were verified before.
    pub issuers: &'a IssuerCache,
    /// What TPMs are told.
    pub tpms: &'a Tpms,
}

/// Reads the claim of a device. A token counts before a certificate: whoever sends one means it, while a certificate may
/// come along because the TLS library had one.
///
/// # Errors
/// When there is nothing to prove anything with, the token is none, the TPM's keys are not those of a TPM, or the certificate
/// names nobody or somebody else.
pub fn claim<'a>(
    id_scope: &'a IdScope,
    registration_id: &'a RegistrationId,
    presented: Presented<'a>,
) -> Result<ClaimedDevice<'a>, Box<Refusal>> {
    let refuse = |reason| Refusal::of(registration_id, presented.chain, None, reason);
    // Before any enrollment is looked for: how long it takes says nothing about whether there is one.
    let tpm = presented.tpm.map(TpmIdentity::shown).transpose();
    let tpm = tpm.map_err(|unusable| refuse(TpmRefusal::from(unusable).into()))?;
    let (evidence, repeated_tpm) = match (presented.token, tpm, presented.chain) {
        (Some(token), tpm, _) => {
            let token = UnverifiedToken::parse(token.reveal());
            let token = token.map_err(|error| refuse(RefusalReason::Token(error)))?;
            (Evidence::Token(token), tpm)
        }
        (None, Some(tpm), _) => (Evidence::Tpm(Box::new(tpm)), None),
        (None, None, Some(chain)) => {
            let named = x509::named(chain, registration_id).map_err(refuse)?;
            (Evidence::Certificate(named), None)
        }
        (None, None, None) => {
            return Err(match presented.unread {
                Some(unread) => Refusal::of_unread(registration_id, unread),
                None => refuse(RefusalReason::NoCredential),
            });
        }
    };
    Ok(ClaimedDevice {
        id_scope,
        registration_id,
        evidence,
        repeated_tpm,
    })
}

/// Proves a claim against the enrollments that could speak for it. The first one that knows the device decides.
///
/// # Errors
/// When none does, the one that decides is disabled or wants another kind of proof, or the proof does not hold; and when a
/// TPM is to answer a challenge first.
pub fn prove(
    claim: ClaimedDevice<'_>,
    candidates: Candidates,
    verifiers: Verifiers<'_>,
    now: Timestamp,
) -> Result<AttestedDevice, NotProven> {
    let (proof, enrollment) = match (&claim.evidence, candidates) {
        (_, Candidates::Individual(entry)) => individually(&claim, entry, verifiers, now)?,
        (Evidence::Certificate(chain), Candidates::Groups(groups)) => {
            let issuers = verifiers.issuers;
            let (leaf, matched) = x509::by_issuer(&claim, chain, &groups, issuers, now)?;
            (Proof::Leaf(leaf), matched)
        }
        (Evidence::Token(token), Candidates::Groups(groups)) => {
            let (keys, matched) = symmetric_key::by_group_keys(&claim, token, &groups, now)?;
            (Proof::Keys(keys), matched)
        }
        (Evidence::Tpm(_), Candidates::Groups(_)) => {
            return Err(claim
                .refuse(RefusalReason::NotEnrolled { absent: None }, None)
                .into());
        }
    };
    Ok(AttestedDevice {
        registration_id: claim.registration_id.clone(),
        enrollment,
        proof,
    })
}

fn individually(
    claim: &ClaimedDevice<'_>,
    entry: Arc<Entry>,
    Verifiers { issuers, tpms }: Verifiers<'_>,
    now: Timestamp,
) -> Result<(Proof, EnrollmentMatch), NotProven> {
    let key = entry.key().clone();
    let refuse = |reason| claim.refuse(reason, Some(&key));
    // Before anything is looked at: a disabled entry keeps its device out, whatever it shows.
    let matched = EnrollmentMatch::of_enabled(entry).map_err(refuse)?;
    let proof = match (matched.entry().attestation(), &claim.evidence) {
        (Attestation::Leaves(leaves), Evidence::Certificate(chain)) => {
            x509::by_leaf(chain, leaves, now).map(Proof::Leaf)
        }
        (Attestation::Anchors(anchors), Evidence::Certificate(chain)) => {
            x509::by_ca_certificate(chain, anchors, issuers, now).map(Proof::Leaf)
        }
        (Attestation::Keys(keys), Evidence::Token(token)) => {
            symmetric_key::by_own_keys(claim, token, keys, now).map(Proof::Keys)
        }
        (Attestation::Tpm(enrolled), Evidence::Token(token)) => {
            tpms.by_token(claim, token, enrolled, now).map(Proof::Tpm)
        }
        (Attestation::Tpm(enrolled), Evidence::Tpm(shown)) => {
            let challenge = tpms.challenge(claim, shown, enrolled, now);
            return Err(NotProven::Challenged(Box::new(challenge.map_err(refuse)?)));
        }
        (wanted, _) => Err(claim.wrong_kind(wanted)),
    };
    Ok((proof.map_err(refuse)?, matched))
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

    /// Whether one of the keys signed the token, for this registration.
    fn verify<'k>(
        &self,
        token: &UnverifiedToken,
        keys: impl IntoIterator<Item = &'k SharedAccessKey>,
        now: Timestamp,
    ) -> Result<VerifiedToken, SasError> {
        let requested = format!("{}/registrations/{}", self.id_scope, self.registration_id);
        token.verify(keys, &requested, now, SKEW)
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
