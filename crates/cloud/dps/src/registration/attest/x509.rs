//! X.509: the leaf itself is known (individual enrollment), or a CA among its issuers is (group).

use std::sync::Arc;

use ids::{RegistrationId, Thumbprint, Timestamp};
use pki::{
    Certificate, ChainError, IssuerCache, PresentedChain, VerifiedChain, pin_leaf, verify_to_anchor,
};

use super::ClaimedDevice;
use crate::registration::candidates::EnrollmentMatch;
use crate::registration::enrollment::{Anchor, Attestation, Entry};
use crate::registration::refusal::{Refusal, RefusalReason};

/// The chain of a device whose leaf names the id that it registers as, in any case.
pub(crate) fn named<'a>(
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
pub(crate) fn by_leaf(
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

/// The leaf, if its chain leads to an authority that the individual enrollment refers to.
pub(crate) fn by_ca_certificate(
    chain: &PresentedChain,
    anchors: &[Anchor],
    issuers: &IssuerCache,
    now: Timestamp,
) -> Result<Certificate, RefusalReason> {
    let mut first_fault: Option<RefusalReason> = None;
    for anchor in anchors {
        let verified = verify_to_anchor(chain, anchor.certificate(), now, issuers);
        let trusted = verified
            .map_err(RefusalReason::from)
            .and_then(|verified| anchor.require_trusted(chain).map(|()| verified));
        match trusted {
            Ok(verified) => return Ok(verified.leaf().clone()),
            Err(fault) if is_better(first_fault.as_ref()) => first_fault = Some(fault),
            Err(_) => {}
        }
    }
    Err(first_fault.unwrap_or(RefusalReason::NotPinned))
}

/// The first group whose certificate the chain leads to, unless the way there passes the certificate of another group,
/// which is nearer and decides instead. The order in which a device shows its certificates decides nothing.
pub(crate) fn by_issuer(
    claim: &ClaimedDevice<'_>,
    shown: &PresentedChain,
    groups: &[Arc<Entry>],
    issuers: &IssuerCache,
    now: Timestamp,
) -> Result<(Certificate, EnrollmentMatch), Box<Refusal>> {
    let (mut group, mut anchor, mut chain) = first_verified(claim, shown, groups, issuers, now)?;
    if let Some((nearer, its_anchor)) = nearest_on(&chain, groups) {
        (group, anchor) = (nearer, its_anchor);
        chain = verify_to_anchor(shown, anchor.certificate(), now, issuers)
            .map_err(|e| claim.refuse(e.into(), Some(group.key())))?;
    }
    let refuse = |reason| claim.refuse(reason, Some(group.key()));
    let matched = EnrollmentMatch::of_enabled(Arc::clone(group)).map_err(refuse)?;
    anchor.require_trusted(shown).map_err(refuse)?;
    Ok((chain.leaf().clone(), matched))
}

/// Tries the candidates in order; when none holds, the first one's fault is the answer.
fn first_verified<'g>(
    claim: &ClaimedDevice<'_>,
    shown: &PresentedChain,
    groups: &'g [Arc<Entry>],
    issuers: &IssuerCache,
    now: Timestamp,
) -> Result<(&'g Arc<Entry>, &'g Anchor, VerifiedChain), Box<Refusal>> {
    let mut first_fault: Option<(RefusalReason, &Entry)> = None;
    for (group, anchor) in anchors(groups) {
        match verify_to_anchor(shown, anchor.certificate(), now, issuers) {
            Ok(chain) => return Ok((group, anchor, chain)),
            Err(fault) if is_better(first_fault.as_ref().map(|(reason, _)| reason)) => {
                first_fault = Some((fault.into(), group));
            }
            Err(_) => {}
        }
    }
    Err(match first_fault {
        Some((reason, group)) => claim.refuse(reason, Some(group.key())),
        None => claim.refuse(RefusalReason::NotEnrolled { absent: None }, None),
    })
}

/// Whether another fault tells more than the one known: when the other slot was not meant, what is wrong with this one does.
fn is_better(known: Option<&RefusalReason>) -> bool {
    matches!(
        known,
        None | Some(RefusalReason::Chain(ChainError::MissingIssuer { .. }))
    )
}

/// The group of the first certificate on the way to an anchor that is one of a group.
pub(crate) fn nearest_on<'g>(
    chain: &VerifiedChain,
    groups: &'g [Arc<Entry>],
) -> Option<(&'g Arc<Entry>, &'g Anchor)> {
    let of = |issuer: Thumbprint| {
        anchors(groups).find(|(_, anchor)| anchor.certificate().sha256() == issuer)
    };
    chain
        .issuers()
        .iter()
        .find_map(|issuer| of(issuer.sha256()))
}

/// The certificates of groups, in the order in which they are tried.
pub(crate) fn anchors(groups: &[Arc<Entry>]) -> impl Iterator<Item = (&Arc<Entry>, &Anchor)> {
    groups.iter().flat_map(|group| {
        let anchors: &[Anchor] = match group.attestation() {
            Attestation::Anchors(anchors) => anchors,
            Attestation::Leaves(_) | Attestation::Keys(_) | Attestation::Tpm(_) => &[],
        };
        anchors.iter().map(move |anchor| (group, anchor))
    })
}
