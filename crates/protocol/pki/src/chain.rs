//! Verifies certificate chains: from a presented chain to a proof.
//!
//! These checks run in this order, and the first fault is reported:
//!
//! 1. The leaf is not a CA.
//! 2. A path of names leads from the leaf to the trust anchor, which is the CA
//!    certificate of an enrollment.
//! 3. Every certificate of the path is valid now and may be where it is: CA,
//!    keyUsage, path length, purposes.
//! 4. Every signature is valid. webpki verifies signatures and path again by its own
//!    rules, where it can.
//! 5. Names and policies are within the constraints of the issuers.
//!
//! 6. No certificate of the path is revoked, as far as [`Revocations`] are given.
//!
//! [`verify_path`] is the one function for all of them: device registration, EST, the hub and
//! `muster ca verify` differ in their [`PathRules`] alone.

mod ca_certificate;
mod cache;
mod conforming;
mod constraints;
mod error;
mod given_crls;
mod path;
mod policies;
mod presented;
mod revocation;
mod rules;
mod seen;
mod server_name;
mod signatures;

use ids::{Thumbprint, Timestamp};

use crate::Certificate;
pub use ca_certificate::{
    UnusableCaCertificate, UsableCaCertificate, may_issue, supported_key, usable_ca_certificate,
};
pub use cache::IssuerCache;
pub use conforming::ConformityFault;
pub use error::ChainError;
pub use given_crls::GivenCrls;
pub use presented::{PeerChain, PresentedChain, UnreadChain};
pub use revocation::{RevocationStatus, Revocations};
pub use rules::{PathRules, Purpose, RevocationCheck};
pub use seen::SeenIssuers;

/// Most certificates of a presented chain.
pub const MAX_CHAIN_CERTIFICATES: usize = 10;
/// Most bytes of DER of a presented chain.
pub const MAX_CHAIN_BYTES: usize = 64 * 1024;

/// Proof that a chain from a leaf to a trust anchor was valid at the given time. Only
/// this file makes one.
#[derive(Debug, Clone)]
pub struct VerifiedChain {
    leaf: Certificate,
    issuers: Vec<Certificate>,
    trust_anchor: Thumbprint,
}

impl VerifiedChain {
    fn of(path: &path::Path<'_>) -> Self {
        Self {
            leaf: path.leaf.clone(),
            issuers: path.issuers.iter().copied().cloned().collect(),
            trust_anchor: path.trust_anchor.sha256(),
        }
    }

    /// The leaf that was verified.
    #[must_use]
    pub fn leaf(&self) -> &Certificate {
        &self.leaf
    }

    /// The issuers between leaf and trust anchor, without both; the leaf's own issuer first.
    #[must_use]
    pub fn issuers(&self) -> &[Certificate] {
        &self.issuers
    }

    /// The SHA-256 thumbprint of the trust anchor.
    #[must_use]
    pub fn trust_anchor(&self) -> Thumbprint {
        self.trust_anchor
    }
}

/// Proof that the leaf is the expected certificate and was valid at the given time. Only
/// this file makes one.
#[derive(Debug, Clone)]
pub struct PinnedLeaf {
    leaf: Certificate,
}

impl PinnedLeaf {
    /// The leaf that was pinned.
    #[must_use]
    pub fn leaf(&self) -> &Certificate {
        &self.leaf
    }
}

/// Verifies the chain of a device: [`verify_path`] with [`PathRules::DEVICE`].
pub fn verify_chain(
    presented: &PresentedChain,
    trust_anchor: &Certificate,
    now: Timestamp,
    cache: &IssuerCache,
) -> Result<VerifiedChain, ChainError> {
    verify_path(&PathRules::DEVICE, presented, trust_anchor, now, cache)
}

/// Verifies a presented chain up to `trust_anchor`: the root or intermediate of an enrollment, or
/// a CA certificate that an operator names.
///
/// The trust anchor need not be presented. The signatures of a path of issuers that is in
/// `cache` are not verified again; its dates and constraints are. The result is the same
/// with an empty cache.
///
/// # Errors
/// The first fault, in words for the operator; devices get less.
pub fn verify_path(
    rules: &PathRules<'_>,
    presented: &PresentedChain,
    trust_anchor: &Certificate,
    now: Timestamp,
    cache: &IssuerCache,
) -> Result<VerifiedChain, ChainError> {
    require_place(presented.leaf(), rules.purpose)?;
    require_supported_key(presented.leaf())?;
    let mut first_fault = None;
    for path in path::candidates(presented, trust_anchor)? {
        match verify_candidate(path, rules, now, cache) {
            Ok(path) => {
                vouch_for(presented, &path);
                return Ok(VerifiedChain::of(&path));
            }
            Err(fault) => {
                first_fault.get_or_insert(fault);
            }
        }
    }
    Err(first_fault.unwrap_or_else(|| ChainError::MissingIssuer {
        subject: presented.leaf().subject(),
        issuer_wanted: presented.leaf().issuer(),
    }))
}

/// Verifies a presented chain up to the first of several trust anchors that it leads to.
///
/// # Errors
/// The fault that says most: that no anchor is its issuer only when nothing else is wrong.
pub fn verify_path_to_any(
    rules: &PathRules<'_>,
    presented: &PresentedChain,
    trust_anchors: &[Certificate],
    now: Timestamp,
) -> Result<VerifiedChain, ChainError> {
    let cache = IssuerCache::new(0);
    let mut said = None;
    for trust_anchor in trust_anchors {
        match verify_path(rules, presented, trust_anchor, now, &cache) {
            Ok(verified) => return Ok(verified),
            Err(fault) => match &said {
                Some(known) if !matches!(known, ChainError::MissingIssuer { .. }) => {}
                _ => said = Some(fault),
            },
        }
    }
    Err(said.unwrap_or(ChainError::NoTrustAnchor))
}

fn verify_candidate<'a>(
    path: path::Path<'a>,
    rules: &PathRules<'_>,
    now: Timestamp,
    cache: &IssuerCache,
) -> Result<path::Path<'a>, ChainError> {
    let checked = path::Checked::new(path, rules, now)?;
    let path = within_limits(signatures::verify(checked, now, cache)?)?;
    if rules.purpose == Purpose::ServerAuth {
        conforming::require_conforming(&path)?;
    }
    if let Some(name) = rules.server_name {
        server_name::require_name(path.leaf, name)?;
    }
    revocation::require_not_revoked(&path, rules.revocation)?;
    Ok(path)
}

/// Verifies that the presented leaf is the certificate of an individual enrollment or a device.
///
/// Only the thumbprint is trusted: presented issuers are ignored, and a
/// self-signed leaf is accepted.
///
/// # Errors
/// When the leaf is another certificate, a CA, expired or not yet valid.
pub fn pin_leaf(
    presented: &PresentedChain,
    expected: Thumbprint,
    now: Timestamp,
) -> Result<PinnedLeaf, ChainError> {
    let leaf = pinned(presented, expected)?;
    refuse_ca(leaf)?;
    require_supported_key(leaf)?;
    path::require_valid_at(leaf, now)?;
    path::require_purpose(leaf, Purpose::ClientAuth)?;
    Ok(PinnedLeaf { leaf: leaf.clone() })
}

/// Requires that a certificate can be the identity of a device: it is not a CA, and its usages, if
/// it has any, include client authentication.
pub fn may_identify(certificate: &Certificate) -> Result<(), ChainError> {
    refuse_ca(certificate)?;
    path::require_purpose(certificate, Purpose::ClientAuth)
}

/// Verifies that the presented leaf is the pinned certificate and valid now. Everything else is
/// accepted, also a self-signed CA certificate, which is what `openssl req -x509` makes.
///
/// # Errors
/// When the leaf is another certificate, expired or not yet valid.
pub fn pin_certificate(
    presented: &PresentedChain,
    expected: Thumbprint,
    now: Timestamp,
) -> Result<PinnedLeaf, ChainError> {
    let leaf = pinned(presented, expected)?;
    path::require_valid_at(leaf, now)?;
    Ok(PinnedLeaf { leaf: leaf.clone() })
}

fn pinned(presented: &PresentedChain, expected: Thumbprint) -> Result<&Certificate, ChainError> {
    let leaf = presented.leaf();
    match leaf.sha256() {
        actual if actual == expected => Ok(leaf),
        actual => Err(ChainError::NotPinned {
            expected,
            presented: actual,
        }),
    }
}

/// Names and policies are checked last: issuers decide how long that takes, and by now it is proven
/// that they belong to the trust anchor.
fn within_limits(path: path::Path<'_>) -> Result<path::Path<'_>, ChainError> {
    constraints::require_permitted(&path)?;
    policies::require_acceptable(&path)?;
    Ok(path)
}

/// Marks the presented issuers that belong to a fleet, so that they stay in memory.
fn vouch_for(presented: &PresentedChain, path: &path::Path<'_>) {
    let on_the_way = |actual: &&Certificate| path.upwards().any(|one| one == *actual);
    let issuers = presented.issuers().iter();
    issuers.filter(on_the_way).for_each(Certificate::vouch);
}

/// The TLS handshake does not accept other keys, so no earlier check may accept them.
fn require_supported_key(leaf: &Certificate) -> Result<(), ChainError> {
    match leaf.has_supported_key() {
        true => Ok(()),
        false => Err(ChainError::UnsupportedAlgorithm {
            subject: leaf.subject(),
            problem: format!("has {}", leaf.key_in_words()),
        }),
    }
}

/// Whether a certificate of this kind can be at the end of a path.
fn require_place(leaf: &Certificate, purpose: Purpose) -> Result<(), ChainError> {
    match purpose {
        Purpose::ClientAuth | Purpose::ServerAuth => refuse_ca(leaf),
        Purpose::Issue => path::require_issuer(leaf),
        Purpose::Any => Ok(()),
    }
}

fn refuse_ca(leaf: &Certificate) -> Result<(), ChainError> {
    if leaf.is_ca() {
        return Err(ChainError::LeafIsCa {
            subject: leaf.subject(),
        });
    }
    Ok(())
}
