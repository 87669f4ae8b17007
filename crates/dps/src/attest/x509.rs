//! X.509: the leaf itself is known (individual enrollment), or a CA among its issuers is (group).

use std::sync::Arc;

use ids::{Thumbprint, Timestamp};
use pki::{Certificate, ChainError, IssuerCache, VerifiedChain, pin_leaf, verify_to_anchor};

use super::ClaimedDevice;
use crate::enrollment::{Attestation, Candidates, EnrollmentMatch, Entry};
use crate::refusal::{Refusal, RefusalReason};

pub(super) fn prove(
    claim: &ClaimedDevice<'_>,
    candidates: Candidates,
    issuers: &IssuerCache,
    now: Timestamp,
) -> Result<(Certificate, EnrollmentMatch), Box<Refusal>> {
    match candidates {
        Candidates::Individual(entry) => by_leaf(claim, entry, now),
        Candidates::Groups(groups) => by_issuer(claim, &groups, issuers, now),
    }
}

/// The leaf must be the primary or the secondary certificate. A disabled entry refuses before it compares: it may have been
/// made to stop a device whose certificate nobody has.
fn by_leaf(
    claim: &ClaimedDevice<'_>,
    entry: Arc<Entry>,
    now: Timestamp,
) -> Result<(Certificate, EnrollmentMatch), Box<Refusal>> {
    let key = entry.key().clone();
    let refuse = |reason| claim.refuse(reason, Some(&key));
    let presented = claim.chain().leaf().sha256();
    let pinned = match entry.attestation() {
        Attestation::Leaves(leaves) => leaves.contains(&presented),
        Attestation::Anchors(_) => false,
    };
    let matched = EnrollmentMatch::of_enabled(entry).map_err(refuse)?;
    if !pinned {
        return Err(refuse(RefusalReason::NotPinned));
    }
    let leaf = pin_leaf(claim.chain(), presented, now).map_err(|e| refuse(e.into()))?;
    Ok((leaf.leaf().clone(), matched))
}

/// The first group whose certificate the chain leads to, unless the way there passes the certificate of another group,
/// which is nearer and decides instead. The order in which a device shows its certificates decides nothing.
fn by_issuer(
    claim: &ClaimedDevice<'_>,
    groups: &[Arc<Entry>],
    issuers: &IssuerCache,
    now: Timestamp,
) -> Result<(Certificate, EnrollmentMatch), Box<Refusal>> {
    let (mut group, mut chain) = first_verified(claim, groups, issuers, now)?;
    if let Some((nearer, anchor)) = nearest_on(&chain, groups) {
        group = nearer;
        chain = verify_to_anchor(claim.chain(), anchor, now, issuers)
            .map_err(|e| claim.refuse(e.into(), Some(group.key())))?;
    }
    let matched = EnrollmentMatch::of_enabled(Arc::clone(group))
        .map_err(|reason| claim.refuse(reason, Some(group.key())))?;
    Ok((chain.leaf().clone(), matched))
}

/// Tries the candidates in order; when none holds, the first one's fault is the answer.
fn first_verified<'g>(
    claim: &ClaimedDevice<'_>,
    groups: &'g [Arc<Entry>],
    issuers: &IssuerCache,
    now: Timestamp,
) -> Result<(&'g Arc<Entry>, VerifiedChain), Box<Refusal>> {
    let mut first_fault: Option<(ChainError, &Entry)> = None;
    for (group, anchor) in anchors(groups) {
        match verify_to_anchor(claim.chain(), anchor, now, issuers) {
            Ok(chain) => return Ok((group, chain)),
            Err(fault) => {
                let better = match &first_fault {
                    None => true,
                    // The other slot of the same group was not meant; what is wrong with this one tells more.
                    Some((ChainError::MissingIssuer { .. }, _)) => true,
                    Some(_) => false,
                };
                if better {
                    first_fault = Some((fault, group));
                }
            }
        }
    }
    Err(match first_fault {
        Some((fault, group)) => claim.refuse(fault.into(), Some(group.key())),
        None => claim.refuse(RefusalReason::NotEnrolled, None),
    })
}

fn nearest_on<'g>(
    chain: &VerifiedChain,
    groups: &'g [Arc<Entry>],
) -> Option<(&'g Arc<Entry>, &'g Certificate)> {
    let of = |issuer: Thumbprint| anchors(groups).find(|(_, anchor)| anchor.sha256() == issuer);
    chain
        .issuers()
        .iter()
        .find_map(|issuer| of(issuer.sha256()))
}

fn anchors(groups: &[Arc<Entry>]) -> impl Iterator<Item = (&Arc<Entry>, &Certificate)> {
    groups.iter().flat_map(|group| {
        let anchors: &[Certificate] = match group.attestation() {
            Attestation::Anchors(anchors) => anchors,
            Attestation::Leaves(_) => &[],
        };
        anchors.iter().map(move |anchor| (group, anchor))
    })
}
