//! Which enrollments could let a device in (Azure's `concepts-x509-attestation.md`)? Its individual
//! one if there is one, else the groups whose CA certificate is among its issuers.

use std::sync::Arc;

use ids::Thumbprint;
use pki::{Certificate, PresentedChain};
use provisioning::Provisioning;

use crate::registration::claim::{ClaimedDevice, Evidence};
use crate::registration::enrollment::{Attestation, Enrollment};
use crate::registration::not_proven::NotProven;
use crate::registration::refusal::RefusalReason;

mod group_index;

pub use group_index::GroupIndex;

use group_index::{CertificateGroups, Name};

/// The enrollments that could let a device in.
#[derive(Debug, Clone)]
pub enum Candidates {
    /// Its individual enrollment: it decides, whatever it says. Groups are not asked.
    Individual(Arc<Enrollment>),
    /// Groups whose CA certificate is, or seems to be, among its issuers; the nearest
    /// as presented first. Never empty.
    Groups(Vec<Arc<Enrollment>>),
}

/// Candidates, and where they were found.
#[derive(Debug)]
pub struct Found {
    pub candidates: Candidates,
    pub source: Source,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The groups in memory, as if the device had no individual enrollment: the fast path. The
    /// transaction that assigns the device reads the enrollment that decides, so that an assignment
    /// may rest on these, and nothing else.
    Memory,
    /// The enrollments and blocks in the store.
    Store,
}

/// Finds the enrollments that could let a device in. `source` is where to begin: groups that are
/// not in memory are read from the store.
///
/// Fails when there are none, or the store fails.
pub async fn find(
    claim: &ClaimedDevice<'_>,
    source: Source,
    provisioning: &Provisioning,
    index: &GroupIndex,
) -> Result<Found, NotProven> {
    if source == Source::Memory
        && let Some(groups) = remembered(claim, provisioning, index).await?
    {
        return Ok(Found {
            candidates: Candidates::Groups(groups),
            source: Source::Memory,
        });
    }
    Ok(Found {
        candidates: read(claim, provisioning, index).await?,
        source: Source::Store,
    })
}

/// The groups for a device with a certificate, when they are in memory.
async fn remembered(
    claim: &ClaimedDevice<'_>,
    provisioning: &Provisioning,
    index: &GroupIndex,
) -> Result<Option<Vec<Arc<Enrollment>>>, NotProven> {
    let Evidence::Certificate(chain) = claim.evidence() else {
        return Ok(None);
    };
    let groups = index.with_certificates(provisioning).await?;
    if matches!(groups, CertificateGroups::InStore(..)) {
        return Ok(None);
    }
    let groups = of_issuers(chain, &groups).await?;
    Ok((!groups.is_empty()).then_some(groups))
}

async fn read(
    claim: &ClaimedDevice<'_>,
    provisioning: &Provisioning,
    index: &GroupIndex,
) -> Result<Candidates, NotProven> {
    if let Some(record) = provisioning
        .find_individual(claim.registration_id())
        .await?
    {
        let enrollment = Enrollment::parse(&record)?;
        return Ok(Candidates::Individual(Arc::new(enrollment)));
    }
    let groups = match claim.evidence() {
        Evidence::Certificate(chain) => {
            of_issuers(chain, &index.with_certificates(provisioning).await?).await?
        }
        Evidence::Tpm(_) => Vec::new(),
        Evidence::Token(_) => index.with_keys(provisioning).await?.to_vec(),
    };
    if groups.is_empty() {
        let absent = match claim.evidence() {
            Evidence::Certificate(chain) => absent_issuer(chain),
            Evidence::Tpm(_) | Evidence::Token(_) => None,
        };
        let reason = RefusalReason::NotEnrolled { absent };
        return Err(claim.refuse(reason, None).into());
    }
    Ok(Candidates::Groups(groups))
}

/// Groups whose CA certificate was presented, nearest first; then those whose CA certificate is
/// named as issuer by one that was presented, and was not presented itself.
async fn of_issuers(
    chain: &PresentedChain,
    groups: &CertificateGroups<'_>,
) -> Result<Vec<Arc<Enrollment>>, NotProven> {
    let presented: Vec<Thumbprint> = chain.issuers().iter().map(Certificate::sha256).collect();
    let mut found = groups.by_certificate(&presented).await?;
    let ends = ends(chain);
    if !ends.is_empty() {
        let names: Vec<Name<'_>> = ends.iter().map(|end| Name::of_issuer(end)).collect();
        let mut above = groups.by_subjects(&names).await?;
        above.retain(|group| {
            let is_new = found.iter().all(|known| known.key() != group.key());
            is_new && issues(group, &ends)
        });
        found.append(&mut above);
    }
    if found.is_empty() {
        return certified_by_others(chain, groups).await;
    }
    Ok(found)
}

/// Groups whose CA certificate has name and key of one that was presented, or signed one with that
/// name: roots vouch for each other so while one replaces the other.
async fn certified_by_others(
    chain: &PresentedChain,
    groups: &CertificateGroups<'_>,
) -> Result<Vec<Arc<Enrollment>>, NotProven> {
    let names: Vec<Name<'_>> = chain.issuers().iter().map(Name::of_subject).collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = groups.by_subjects(&names).await?;
    let is_presented = |ca: &Certificate| {
        let mut presented = chain.issuers().iter();
        presented.any(|one| one.spki_der() == ca.spki_der() || one.is_signed_by(ca))
    };
    found.retain(|group| match group.attestation() {
        Attestation::CaCertificates(cas) => cas.iter().any(|ca| is_presented(ca.certificate())),
        Attestation::Leaves(_) | Attestation::Keys(_) | Attestation::Tpm(_) => false,
    });
    Ok(found)
}

/// The certificates whose issuers are not among those presented: where the chain continues.
fn ends(chain: &PresentedChain) -> Vec<&Certificate> {
    let presented = || std::iter::once(chain.leaf()).chain(chain.issuers());
    // By bytes first, which is enough for nearly all of them.
    let is_end = |one: &&Certificate| {
        !presented().any(|other| one.issuer_der() == other.subject_der())
            && !presented().any(|other| one.is_issued_by_name(other))
    };
    let mut ends: Vec<&Certificate> = presented().filter(is_end).collect();
    ends.sort_unstable_by_key(|end| end.issuer_key());
    ends.dedup_by_key(|end| end.issuer_key());
    ends
}

/// Whether a CA certificate of the group has the name of the issuer of one of these.
fn issues(group: &Enrollment, ends: &[&Certificate]) -> bool {
    match group.attestation() {
        Attestation::CaCertificates(cas) => cas.iter().any(|ca| {
            ends.iter()
                .any(|end| end.is_issued_by_name(ca.certificate()))
        }),
        Attestation::Leaves(_) | Attestation::Keys(_) | Attestation::Tpm(_) => false,
    }
}

/// The issuer that the last certificate on the way from the leaf names, unless that is a root.
fn absent_issuer(chain: &PresentedChain) -> Option<String> {
    let mut last = chain.leaf();
    // A step for each certificate: hierarchies may certify each other in a circle.
    for _ in chain.issuers() {
        let next = chain
            .issuers()
            .iter()
            .find(|one| last.is_issued_by_name(one));
        last = next.unwrap_or(last);
    }
    let is_presented = last.is_self_issued()
        || chain
            .issuers()
            .iter()
            .any(|one| last.is_issued_by_name(one));
    (!is_presented).then(|| last.issuer())
}
