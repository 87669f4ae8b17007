//! X.509: the leaf itself is known (individual enrollment), or a CA among its issuers is (group).

use std::sync::Arc;

use ids::{RegistrationId, Thumbprint, Timestamp};
use pki::{
    Certificate, ChainError, IssuerCache, PresentedChain, VerifiedChain, pin_leaf, verify_to_anchor,
};

use super::ClaimedDevice;
use crate::enrollment::{Attestation, EnrollmentMatch, Entry};
use crate::refusal::{Refusal, RefusalReason};

/// The chain of a device whose leaf names the id that it registers as, in any case.
pub(super) fn named<'a>(
    chain: &'a PresentedChain,
    registration_id: &RegistrationId,
) -> Result<&'a PresentedChain, RefusalReason> {
    let common_name = chain.leaf().subject_common_name();
    let common_name = common_name.ok_or(RefusalReason::NoCommonName)?;
    if common_name.eq_ignore_ascii_case(registration_id.as_str()) {
        return Ok(chain);
    }
    let common_name = common_name.chars().take(128).collect();
    Err(RefusalReason::CommonNameMismatch { common_name })
}

/// The leaf, if it is one of those that the individual enrollment knows.
pub(super) fn by_leaf(
    chain: &PresentedChain,
    leaves: &[Thumbprint],
    now: Timestamp,
) -> Result<Certificate, RefusalReason> {
    let presented = chain.leaf().sha256();
    if !leaves.contains(&presented) {
        return Err(RefusalReason::NotPinned);
    }
    Ok(pin_leaf(chain, presented, now)?.leaf().clone())
}

/// The first group whose certificate the chain leads to, unless the way there passes the certificate of another group,
/// which is nearer and decides instead. The order in which a device shows its certificates decides nothing.
pub(super) fn by_issuer(
    claim: &ClaimedDevice<'_>,
    shown: &PresentedChain,
    groups: &[Arc<Entry>],
    issuers: &IssuerCache,
    now: Timestamp,
) -> Result<(Certificate, EnrollmentMatch), Box<Refusal>> {
    let (mut group, mut chain) = first_verified(claim, shown, groups, issuers, now)?;
    if let Some((nearer, anchor)) = nearest_on(&chain, groups) {
        group = nearer;
        chain = verify_to_anchor(shown, anchor, now, issuers)
            .map_err(|e| claim.refuse(e.into(), Some(group.key())))?;
    }
    let matched = EnrollmentMatch::of_enabled(Arc::clone(group))
        .map_err(|reason| claim.refuse(reason, Some(group.key())))?;
    Ok((chain.leaf().clone(), matched))
}

/// Tries the candidates in order; when none holds, the first one's fault is the answer.
fn first_verified<'g>(
    claim: &ClaimedDevice<'_>,
    shown: &PresentedChain,
    groups: &'g [Arc<Entry>],
    issuers: &IssuerCache,
    now: Timestamp,
) -> Result<(&'g Arc<Entry>, VerifiedChain), Box<Refusal>> {
    let mut first_fault: Option<(ChainError, &Entry)> = None;
    for (group, anchor) in anchors(groups) {
        match verify_to_anchor(shown, anchor, now, issuers) {
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
            Attestation::Leaves(_) | Attestation::Keys(_) | Attestation::Tpm(_) => &[],
        };
        anchors.iter().map(move |anchor| (group, anchor))
    })
}
