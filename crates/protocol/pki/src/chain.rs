//! Verifies certificate chains: from a presented chain to a proof.
//!
//! What is checked, in this order, with the first fault reported: the leaf is no CA; a path of
//! names leads from it to the anchor; every element of that path, the anchor included, is valid now
//! and may do what it does there (CA, keyUsage, path length, purposes); every signature holds;
//! names and policies are within what the issuers allow. webpki verifies signatures and the path a
//! second time by its own rules, where it can. Revocation is the enrollment's state, not the
//! certificate's (semantics of DPS), so no CRL is asked.

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

/// How many certificates of a presented chain are read.
pub const MAX_CHAIN_CERTIFICATES: usize = 10;
/// How many bytes of DER a presented chain may have altogether.
pub const MAX_CHAIN_BYTES: usize = 64 * 1024;

/// What a leaf is presented for; its extendedKeyUsage, and its issuers', must allow it where they
/// have one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A device that proves who it is.
    ClientAuth,
    /// A server that proves who it is. Its names are not looked at here.
    ServerAuth,
}

/// Proof that a leaf leads to an anchor and that everything on the way held at the time asked. Only
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

    /// The verified leaf.
    #[must_use]
    pub fn leaf(&self) -> &Certificate {
        &self.leaf
    }

    /// The issuers between leaf and anchor on the verified path, the leaf's own issuer first;
    /// neither leaf nor anchor.
    #[must_use]
    pub fn issuers(&self) -> &[Certificate] {
        &self.issuers
    }

    /// The SHA-256 of the anchor that the leaf leads to.
    #[must_use]
    pub fn trust_anchor(&self) -> Thumbprint {
        self.trust_anchor
    }
}

/// Proof that the leaf is the very certificate that was expected, valid at the time asked. Only
/// this file makes one.
#[derive(Debug, Clone)]
pub struct PinnedLeaf {
    leaf: Certificate,
}

impl PinnedLeaf {
    /// The pinned leaf.
    #[must_use]
    pub fn leaf(&self) -> &Certificate {
        &self.leaf
    }
}

/// Verifies that `presented` leads to `trust_anchor`, a root or an intermediate that an enrollment
/// names.
///
/// The anchor itself need not be in the chain. A path of issuers that `cache` has seen verified
/// under this anchor is not verified again, only its dates and constraints are; the verdict is the
/// same with an empty cache.
///
/// # Errors
/// The first fault found, told for the operator; devices are told less.
pub fn verify_chain(
    presented: &PresentedChain,
    trust_anchor: &Certificate,
    now: Timestamp,
    cache: &IssuerCache,
) -> Result<VerifiedChain, ChainError> {
    verify_chain_for(Purpose::ClientAuth, presented, trust_anchor, now, cache)
}

/// [`verify_chain`] for another purpose than a device's identity.
///
/// # Errors
/// The first fault found.
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

/// Verifies that the presented leaf is the certificate that an individual enrollment or a device
/// pins.
///
/// Nothing vouches for it but the pin; issuers, if any were shown, are not looked at. A self-signed
/// leaf is fine.
///
/// # Errors
/// When it is another certificate, a CA, expired or not yet valid.
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

/// Whether the usages of a certificate, as far as it has any, allow it to be a device's identity.
///
/// # Errors
/// When they do not, or it is a CA.
pub fn may_identify(certificate: &Certificate) -> Result<(), ChainError> {
    refuse_ca(certificate)?;
    path::require_purpose(certificate, Purpose::ClientAuth)
}

/// Checks that the peer holds exactly the pinned certificate, and that it is valid now: whoever
/// pinned it vouches for the rest, such as a self-signed CA certificate, which is what `openssl req
/// -x509` makes.
///
/// # Errors
/// When it is another certificate, expired or not yet valid.
pub fn pin_certificate(
    presented: &PresentedChain,
    expected: Thumbprint,
    now: Timestamp,
) -> Result<PinnedLeaf, ChainError> {
    let leaf = pinned(presented, expected)?;
    path::require_valid_at(leaf, now)?;
    Ok(PinnedLeaf { leaf: leaf.clone() })
}

/// The leaf that was shown, when it is the certificate that is pinned.
fn pinned(presented: &PresentedChain, expected: Thumbprint) -> Result<&Certificate, ChainError> {
    let leaf = presented.leaf();
    match leaf.sha256() {
        shown if shown == expected => Ok(leaf),
        shown => Err(ChainError::NotPinned {
            expected,
            presented: shown,
        }),
    }
}

/// Names and policies come last: how long they take is for the issuers to say, and by now it is
/// known that these are nobody's but the anchor's.
fn within_limits(path: path::Path<'_>) -> Result<path::Path<'_>, ChainError> {
    constraints::require_permitted(&path)?;
    policies::require_acceptable(&path)?;
    Ok(path)
}

/// Notes which of the certificates shown are a fleet's, and not a stranger's.
fn vouch_for(presented: &PresentedChain, path: &path::Path<'_>) {
    let on_the_way = |shown: &&Certificate| path.upwards().any(|one| one == *shown);
    let issuers = presented.issuers().iter();
    issuers.filter(on_the_way).for_each(Certificate::vouch);
}

/// No handshake proves possession of another key: what is judged beforehand must be refused as the
/// handshake would be.
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
