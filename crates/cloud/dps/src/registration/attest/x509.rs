//! X.509: the leaf itself is enrolled (individual enrollments), or a CA
//! among its issuers is (groups).

use std::sync::Arc;

use ids::{Thumbprint, Timestamp};
use pki::{
    Certificate, ChainError, IssuerCache, PresentedChain, VerifiedChain, pin_leaf, verify_chain,
};
use provisioning::{EnrollmentKey, Provisioning};
use registry::revocation::name_path;

use super::Verifiers;
use super::trace::{Comparison, Credential, Finding, Trace};
use crate::registration::claim::ClaimedDevice;
use crate::registration::enrollment::{Attestation, Enrollment, EnrollmentCa, EnrollmentMatch};
use crate::registration::refusal::{Refusal, RefusalReason};

/// A presented chain, and what it is verified with.
#[derive(Clone, Copy)]
pub(super) struct ChainVerifier<'a> {
    presented: &'a PresentedChain,
    issuers: &'a IssuerCache,
    provisioning: &'a Provisioning,
    now: Timestamp,
}

impl<'a> ChainVerifier<'a> {
    pub(super) fn new(
        presented: &'a PresentedChain,
        verifiers: Verifiers<'a>,
        now: Timestamp,
    ) -> Self {
        Self {
            presented,
            issuers: verifiers.issuers,
            provisioning: verifiers.provisioning,
            now,
        }
    }

    fn verify(&self, ca: &EnrollmentCa) -> Result<VerifiedChain, RefusalReason> {
        let ca_certificate = ca.certificate();
        Ok(verify_chain(
            self.presented,
            ca_certificate,
            self.now,
            self.issuers,
        )?)
    }

    /// Refuses a chain whose leaf, or a CA on its path, is revoked.
    fn require_in_force(&self, chain: &VerifiedChain) -> Result<(), RefusalReason> {
        let path = std::iter::once(chain.leaf()).chain(chain.issuers());
        require_in_force(self.provisioning, path, self.now)
    }
}

/// The leaf, if it is one of those that the individual enrollment names.
pub(super) fn by_leaves<T: Trace>(
    enrollment: &EnrollmentKey,
    verifier: ChainVerifier<'_>,
    leaves: &[Thumbprint],
    trace: &mut T,
) -> Result<Certificate, RefusalReason> {
    let mut decision = Err(RefusalReason::NotPinned);
    for leaf in leaves {
        let compared = compare_leaf(verifier, *leaf);
        let with = || Credential::Leaf(*leaf);
        trace.record(|| Comparison::new(enrollment, with(), Finding::from(&compared)));
        if matches!(decision, Err(RefusalReason::NotPinned)) {
            decision = compared;
        }
        if decision.is_ok() && !T::COMPLETE {
            break;
        }
    }
    decision
}

fn compare_leaf(
    verifier: ChainVerifier<'_>,
    leaf: Thumbprint,
) -> Result<Certificate, RefusalReason> {
    let ChainVerifier { presented, now, .. } = verifier;
    if presented.leaf().sha256() != leaf {
        return Err(RefusalReason::NotPinned);
    }
    let leaf = pin_leaf(presented, leaf, now)?.leaf().clone();
    require_in_force(verifier.provisioning, name_path(presented), now)?;
    Ok(leaf)
}

fn require_in_force<'c>(
    provisioning: &Provisioning,
    certificates: impl Iterator<Item = &'c Certificate>,
    now: Timestamp,
) -> Result<(), RefusalReason> {
    match provisioning.not_in_force(certificates, now) {
        Some(refused) => Err(RefusalReason::NotInForce(Box::new(refused))),
        None => Ok(()),
    }
}

/// The leaf, if its chain leads to a CA certificate that the individual enrollment refers to.
pub(super) fn by_ca_certificates<T: Trace>(
    enrollment: &EnrollmentKey,
    verifier: ChainVerifier<'_>,
    cas: &[EnrollmentCa],
    trace: &mut T,
) -> Result<Certificate, RefusalReason> {
    let mut decision = Err(RefusalReason::NotPinned);
    for ca in cas {
        let compared = verifier.verify(ca).and_then(|chain| {
            ca.require_trusted(verifier.presented)?;
            verifier.require_in_force(&chain)?;
            Ok(chain.leaf().clone())
        });
        let with = || Credential::CaCertificate(ca.certificate().clone());
        trace.record(|| Comparison::new(enrollment, with(), Finding::from(&compared)));
        decision = match (decision, compared) {
            (Ok(leaf), _) | (Err(_), Ok(leaf)) => Ok(leaf),
            (Err(known), Err(_)) if says_more(&known) => Err(known),
            (Err(_), Err(other)) => Err(other),
        };
        if decision.is_ok() && !T::COMPLETE {
            break;
        }
    }
    decision
}

/// Whether a fault says what is wrong with the chain. Others only say that it was not meant to
/// lead to this CA certificate.
fn says_more(fault: &RefusalReason) -> bool {
    !matches!(
        fault,
        RefusalReason::NotPinned | RefusalReason::Chain(ChainError::MissingIssuer { .. })
    )
}

/// A group that decides, and how: the leaf of a chain that is trusted, or why it is not.
type Decision<'g> = (
    &'g Enrollment,
    Result<(Certificate, EnrollmentMatch), RefusalReason>,
);

/// How a chain compares with a CA certificate of a group.
enum Compared<'g> {
    /// It does not lead there.
    Fails(RefusalReason),
    /// It leads there past a CA certificate of another group, which is nearer and decides.
    Nearer(&'g Arc<Enrollment>, &'g EnrollmentCa),
    Decides(Result<(Certificate, EnrollmentMatch), RefusalReason>),
}

/// The first group to whose CA certificate the chain leads, unless the way there passes a CA
/// certificate of another group, which is nearer and decides instead. The order in which a device
/// presents its certificates decides nothing.
pub(super) fn by_groups<T: Trace>(
    claim: &ClaimedDevice<'_>,
    verifier: ChainVerifier<'_>,
    groups: &[Arc<Enrollment>],
    trace: &mut T,
) -> Result<(Certificate, EnrollmentMatch), Box<Refusal>> {
    let mut decision: Option<Decision<'_>> = None;
    // When no group decides, the first fault is the answer.
    let mut fault: Option<(&Enrollment, RefusalReason)> = None;
    for (group, ca) in ca_certificates(groups) {
        let compared = compare_group(verifier, groups, (group, ca));
        let with = || Credential::CaCertificate(ca.certificate().clone());
        trace.record(|| Comparison::new(group.key(), with(), Finding::from(&compared)));
        match compared {
            Compared::Fails(reason)
                if fault.as_ref().is_none_or(|(_, known)| !says_more(known)) =>
            {
                fault = Some((group, reason));
            }
            Compared::Nearer(group, ca) if decision.is_none() => {
                let verified = verifier.verify(ca);
                let accepted = verified.and_then(|chain| accept(verifier, &chain, (group, ca)));
                decision = Some((group, accepted));
            }
            Compared::Decides(accepted) if decision.is_none() => {
                decision = Some((group, accepted));
            }
            Compared::Fails(_) | Compared::Nearer(..) | Compared::Decides(_) => {}
        }
        if decision.is_some() && !T::COMPLETE {
            break;
        }
    }
    match (decision, fault) {
        (Some((group, accepted)), _) => {
            accepted.map_err(|reason| claim.refuse(reason, Some(group.key())))
        }
        (None, Some((group, reason))) => Err(claim.refuse(reason, Some(group.key()))),
        (None, None) => Err(claim.refuse(RefusalReason::NotEnrolled { absent: None }, None)),
    }
}

fn compare_group<'g>(
    verifier: ChainVerifier<'_>,
    groups: &'g [Arc<Enrollment>],
    (group, ca): (&'g Arc<Enrollment>, &'g EnrollmentCa),
) -> Compared<'g> {
    match verifier.verify(ca) {
        Err(fault) => Compared::Fails(fault),
        Ok(chain) => match nearest_on(&chain, groups) {
            Some((nearer, its_ca)) => Compared::Nearer(nearer, its_ca),
            None => Compared::Decides(accept(verifier, &chain, (group, ca))),
        },
    }
}

fn accept(
    verifier: ChainVerifier<'_>,
    chain: &VerifiedChain,
    (group, ca): (&Arc<Enrollment>, &EnrollmentCa),
) -> Result<(Certificate, EnrollmentMatch), RefusalReason> {
    let matched = EnrollmentMatch::enabled(Arc::clone(group))?;
    ca.require_trusted(verifier.presented)?;
    verifier.require_in_force(chain)?;
    Ok((chain.leaf().clone(), matched))
}

/// The group of the first certificate on the path whose CA certificate is one of a group.
fn nearest_on<'g>(
    chain: &VerifiedChain,
    groups: &'g [Arc<Enrollment>],
) -> Option<(&'g Arc<Enrollment>, &'g EnrollmentCa)> {
    let with_ca = |issuer: Thumbprint| {
        ca_certificates(groups).find(|(_, ca)| ca.certificate().sha256() == issuer)
    };
    chain
        .issuers()
        .iter()
        .find_map(|issuer| with_ca(issuer.sha256()))
}

/// The CA certificates of groups, in the order in which they are tried.
fn ca_certificates(
    groups: &[Arc<Enrollment>],
) -> impl Iterator<Item = (&Arc<Enrollment>, &EnrollmentCa)> {
    groups.iter().flat_map(|group| {
        let cas: &[EnrollmentCa] = match group.attestation() {
            Attestation::CaCertificates(cas) => cas,
            Attestation::Leaves(_) | Attestation::Keys(_) | Attestation::Tpm(_) => &[],
        };
        cas.iter().map(move |ca| (group, ca))
    })
}

impl From<&Compared<'_>> for Finding {
    fn from(compared: &Compared<'_>) -> Self {
        match compared {
            Compared::Fails(reason) => Self::Fails(reason.clone()),
            Compared::Nearer(group, _) => Self::NearerGroup(group.key().clone()),
            Compared::Decides(accepted) => Self::from(accepted),
        }
    }
}
