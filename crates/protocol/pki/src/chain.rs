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
//! Revocation is a state of the enrollment, as in DPS, so no CRL is read.

mod ca_certificate;
mod cache;
mod constraints;
mod error;
mod path;
mod policies;
mod presented;
mod seen;
mod signatures;

use ids::{Thumbprint, Timestamp};

use crate::Certificate;
pub use ca_certificate::{
    UnusableCaCertificate, UsableCaCertificate, may_issue, supported_key, usable_ca_certificate,
};
pub use cache::IssuerCache;
pub use error::ChainError;
pub use presented::{PeerChain, PresentedChain, UnreadChain};
pub use seen::SeenIssuers;

/// Most certificates of a presented chain.
pub const MAX_CHAIN_CERTIFICATES: usize = 10;
/// Most bytes of DER of a presented chain.
pub const MAX_CHAIN_BYTES: usize = 64 * 1024;

/// The use of a leaf. An extendedKeyUsage of the leaf or of its issuers must allow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A device authenticates to a server.
    ClientAuth,
    /// A server authenticates to a client. Its names are not checked here.
    ServerAuth,
}

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

/// Verifies the chain of a device up to `trust_anchor`, the root or intermediate of an enrollment.
///
/// The trust anchor need not be presented. The signatures of a path of issuers that is in
/// `cache` are not verified again; its dates and constraints are. The result is the same
/// with an empty cache.
///
/// # Errors
/// The first fault, in words for the operator; devices get less.
pub fn verify_chain(
    presented: &PresentedChain,
    trust_anchor: &Certificate,
    now: Timestamp,
    cache: &IssuerCache,
) -> Result<VerifiedChain, ChainError> {
    verify_chain_for(Purpose::ClientAuth, presented, trust_anchor, now, cache)
}

/// Like [`verify_chain`], for any purpose.
pub fn verify_chain_for(
    purpose: Purpose,
    presented: &PresentedChain,
    trust_anchor: &Certificate,
    now: Timestamp,
    cache: &IssuerCache,
) -> Result<VerifiedChain, ChainError> {
    refuse_ca(presented.leaf())?;
    require_supported_key(presented.leaf())?;
    let mut first_fault = None;
    for path in path::candidates(presented, trust_anchor)? {
        let checked = path::Checked::new(path, purpose, now);
        let verified = checked.and_then(|path| signatures::verify(path, now, cache));
        match verified.and_then(within_limits) {
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

fn refuse_ca(leaf: &Certificate) -> Result<(), ChainError> {
    if leaf.is_ca() {
        return Err(ChainError::LeafIsCa {
            subject: leaf.subject(),
        });
    }
    Ok(())
}
