//! Which enrollment speaks for a device (Azure's `concepts-x509-attestation.md`): its individual one if there is one, else the groups whose
//! certificate is among its issuers.

use std::sync::Arc;

use ids::Thumbprint;
use pki::{Certificate, PresentedChain};

use crate::registration::attest::{ClaimedDevice, Evidence};
use crate::registration::enrollment::{Attestation, Entry, Standing};
use crate::registration::refusal::{NotProven, RefusalReason};
use crate::registration::register::Deps;

mod cache;
mod keyed;
mod known;

pub use cache::GroupCache;
pub use keyed::KeyedGroups;
pub use known::KnownGroups;

use known::Groups;

/// The entries that could let a device in.
#[derive(Debug, Clone)]
pub enum Candidates {
    /// Its own entry: it decides, whatever it says. Groups are not asked.
    Individual(Arc<Entry>),
    /// Groups whose certificate is, or seems to be, among its issuers; the nearest as shown first. Never empty.
    Groups(Vec<Arc<Entry>>),
}

/// An entry that decided, and is enabled. Only this file makes one.
#[derive(Debug, Clone)]
pub struct EnrollmentMatch(Arc<Entry>);

/// Finds the entries that could let a device in.
///
/// # Errors
/// When there are none, or the storage fails.
pub async fn find(claim: &ClaimedDevice<'_>, deps: &Deps) -> Result<Candidates, NotProven> {
    let registry = &deps.registry;
    if let Some(record) = registry.find_individual(claim.registration_id()).await? {
        return Ok(Candidates::Individual(Arc::new(Entry::read(&record)?)));
    }
    let entries = match claim.evidence() {
        Evidence::Certificate(chain) => {
            let groups = deps.known.find(registry, &deps.groups).await?;
            groups_of_issuers(chain, &groups).await?
        }
        Evidence::Tpm(_) => Vec::new(),
        Evidence::Token(_) => deps.keyed.find(registry, &deps.groups).await?.to_vec(),
    };
    if entries.is_empty() {
        let absent = match claim.evidence() {
            Evidence::Certificate(chain) => absent_issuer(chain),
            Evidence::Tpm(_) | Evidence::Token(_) => None,
        };
        return Err(claim
            .refuse(RefusalReason::NotEnrolled { absent }, None)
            .into());
    }
    Ok(Candidates::Groups(entries))
}

/// The groups that could let in a device with a certificate if it has no entry of its own, when they are in memory. Whether it has
/// one is found out by the transaction that assigns it, which reads the entry that decides anyway; nothing but an assignment may
/// rest on these.
///
/// # Errors
/// When the storage fails.
pub async fn presume(
    claim: &ClaimedDevice<'_>,
    deps: &Deps,
) -> Result<Option<Candidates>, NotProven> {
    let Evidence::Certificate(chain) = claim.evidence() else {
        return Ok(None);
    };
    let groups = deps.known.find(&deps.registry, &deps.groups).await?;
    if matches!(groups, Groups::Stored(..)) {
        return Ok(None);
    }
    let entries = groups_of_issuers(chain, &groups).await?;
    Ok((!entries.is_empty()).then_some(Candidates::Groups(entries)))
}

/// Groups whose certificate was shown, nearest first; then those whose certificate is named as issuer by one that was shown and
/// is not among them.
async fn groups_of_issuers(
    chain: &PresentedChain,
    groups: &Groups<'_>,
) -> Result<Vec<Arc<Entry>>, NotProven> {
    let shown: Vec<Thumbprint> = chain.issuers().iter().map(Certificate::sha256).collect();
    let mut entries = groups.by_certificate(&shown).await?;
    let ends = ends(chain);
    if !ends.is_empty() {
        let mut above = groups.by_issuers_of(&ends).await?;
        above.retain(|group| {
            let is_new = entries.iter().all(|known| known.key() != group.key());
            is_new && continues(group, &ends)
        });
        entries.append(&mut above);
    }
    Ok(entries)
}

/// The certificates whose issuers are not among what was shown: where the chain goes on.
fn ends(chain: &PresentedChain) -> Vec<&Certificate> {
    let shown = || std::iter::once(chain.leaf()).chain(chain.issuers());
    // By bytes first, which is enough for nearly all of them.
    let goes_on = |one: &&Certificate| {
        !shown().any(|other| one.issuer_der() == other.subject_der())
            && !shown().any(|other| one.is_issued_by_name(other))
    };
    let mut ends: Vec<&Certificate> = shown().filter(goes_on).collect();
    ends.sort_unstable_by_key(|end| end.issuer_key());
    ends.dedup_by_key(|end| end.issuer_key());
    ends
}

/// Whom the last certificate names that the leaf leads to, unless that is a root.
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
    let is_shown = last.is_self_issued()
        || chain
            .issuers()
            .iter()
            .any(|one| last.is_issued_by_name(one));
    (!is_shown).then(|| last.issuer())
}

fn continues(group: &Entry, ends: &[&Certificate]) -> bool {
    match group.attestation() {
        Attestation::Anchors(anchors) => anchors.iter().any(|anchor| {
            ends.iter()
                .any(|end| end.is_issued_by_name(anchor.certificate()))
        }),
        Attestation::Leaves(_) | Attestation::Keys(_) | Attestation::Tpm(_) => false,
    }
}

impl EnrollmentMatch {
    /// Takes an entry that decides about a device.
    ///
    /// # Errors
    /// When it is disabled, or its device is blocked.
    pub fn of_enabled(entry: Arc<Entry>) -> Result<Self, RefusalReason> {
        match entry.standing() {
            Standing::Enabled => Ok(Self(entry)),
            Standing::Disabled => Err(RefusalReason::Disabled(entry.key().clone())),
            Standing::Blocked => Err(RefusalReason::Blocked(entry.key().clone())),
        }
    }

    /// The entry.
    #[must_use]
    pub fn entry(&self) -> &Entry {
        &self.0
    }
}
