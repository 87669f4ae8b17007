//! From a chain that a client showed to proof that an enrollment may rely on.
//!
//! What is checked, in this order, with the first fault reported: the leaf is no CA; a path of names leads from it to the
//! anchor; every element of that path, the anchor included, is valid now and may do what it does there (CA, keyUsage,
//! path length, purposes); every signature holds. webpki verifies signatures and the path a second time by its own rules.
//! Revocation is the enrollment's state, not the certificate's (semantics of DPS), so no CRL is asked.

mod anchor;
mod cache;
mod error;
mod path;
mod seen;
mod signatures;

use std::sync::Arc;

use ids::{Thumbprint, Timestamp};

use crate::Certificate;
pub use anchor::{AnchorError, UsableAnchor, may_issue, supported_key, usable_anchor};
pub use cache::IssuerCache;
pub use error::ChainError;
pub use seen::SeenIssuers;

/// How many certificates of a presented chain are read.
pub const MAX_CHAIN_CERTIFICATES: usize = 10;
/// How many bytes of DER a presented chain may have altogether.
pub const MAX_CHAIN_BYTES: usize = 64 * 1024;

/// What a client showed in its TLS handshake: parsed, not trusted. The leaf comes first; it always exists.
#[derive(Debug, Clone)]
pub struct PresentedChain {
    leaf: Certificate,
    issuers: Vec<Certificate>,
}

impl PresentedChain {
    /// Parses DER certificates, leaf first, as TLS hands them over. What was `seen` among other clients' issuers is not parsed again.
    ///
    /// # Errors
    /// When there is none, there are more than [`MAX_CHAIN_CERTIFICATES`], they have more than [`MAX_CHAIN_BYTES`], or
    /// one of them is not a certificate.
    pub fn new<D: AsRef<[u8]>>(certificates: &[D], seen: &SeenIssuers) -> Result<Self, ChainError> {
        let count = certificates.len();
        if count > MAX_CHAIN_CERTIFICATES {
            return Err(ChainError::TooLong { count });
        }
        let bytes = certificates.iter().map(|der| der.as_ref().len()).sum();
        if bytes > MAX_CHAIN_BYTES {
            return Err(ChainError::TooLarge { bytes });
        }
        let mut parsed = Vec::with_capacity(count);
        for (index, der) in certificates.iter().enumerate() {
            let position = index + 1;
            let certificate = match index {
                0 => Certificate::from_der(der.as_ref()),
                _ => seen.parse(der.as_ref()),
            };
            let unparsable = |source| ChainError::Unparsable { position, source };
            parsed.push(certificate.map_err(unparsable)?);
        }
        Self::from_certificates(parsed)
    }

    /// From certificates that are parsed already, for example those of a PEM bundle; leaf first.
    ///
    /// # Errors
    /// When there is none or there are more than [`MAX_CHAIN_CERTIFICATES`].
    pub fn from_certificates(certificates: Vec<Certificate>) -> Result<Self, ChainError> {
        let count = certificates.len();
        if count > MAX_CHAIN_CERTIFICATES {
            return Err(ChainError::TooLong { count });
        }
        let mut all = certificates.into_iter();
        let leaf = all.next().ok_or(ChainError::Empty)?;
        let issuers = all.collect();
        Ok(Self { leaf, issuers })
    }

    /// The certificate whose key the client proved to hold.
    #[must_use]
    pub fn leaf(&self) -> &Certificate {
        &self.leaf
    }

    /// Everything after the leaf, in the order shown: normally the nearest issuer first.
    #[must_use]
    pub fn issuers(&self) -> &[Certificate] {
        &self.issuers
    }
}

/// The chain of a connection's peer as it travels to request handlers; `None` when the client showed no certificate.
#[derive(Debug, Clone, Default)]
pub struct PeerChain(pub Option<Arc<PresentedChain>>);

/// What a leaf is presented for; its extendedKeyUsage, and its issuers', must allow it where they have one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A device that proves who it is.
    ClientAuth,
    /// A server that proves who it is. Its names are not looked at here.
    ServerAuth,
}

/// Proof that a leaf leads to an anchor and that everything on the way held at the time asked. Only this file makes one.
#[derive(Debug, Clone)]
pub struct VerifiedChain {
    leaf: Certificate,
    issuers: Vec<Certificate>,
    anchor: Thumbprint,
}

impl VerifiedChain {
    fn of(path: &path::Path<'_>) -> Self {
        Self {
            leaf: path.leaf.clone(),
            issuers: path.issuers.iter().copied().cloned().collect(),
            anchor: path.anchor.sha256(),
        }
    }

    /// The verified leaf.
    #[must_use]
    pub fn leaf(&self) -> &Certificate {
        &self.leaf
    }

    /// The issuers between leaf and anchor on the verified path, the leaf's own issuer first; neither leaf nor anchor.
    #[must_use]
    pub fn issuers(&self) -> &[Certificate] {
        &self.issuers
    }

    /// The SHA-256 of the anchor that the leaf leads to.
    #[must_use]
    pub fn anchor(&self) -> Thumbprint {
        self.anchor
    }
}

/// Proof that the leaf is the very certificate that was expected, valid at the time asked. Only this file makes one.
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

/// Verifies that `presented` leads to `anchor`, a root or an intermediate that an enrollment names.
///
/// The anchor itself need not be in the chain. A path of issuers that `cache` has seen verified under this anchor is not
/// verified again, only its dates and constraints are; the verdict is the same with an empty cache.
///
/// # Errors
/// The first fault found, told for the operator; devices are told less.
pub fn verify_to_anchor(
    presented: &PresentedChain,
    anchor: &Certificate,
    now: Timestamp,
    cache: &IssuerCache,
) -> Result<VerifiedChain, ChainError> {
    verify_for(Purpose::ClientAuth, presented, anchor, now, cache)
}

/// [`verify_to_anchor`] for another purpose than a device's identity.
///
/// # Errors
/// The first fault found.
pub fn verify_for(
    purpose: Purpose,
    presented: &PresentedChain,
    anchor: &Certificate,
    now: Timestamp,
    cache: &IssuerCache,
) -> Result<VerifiedChain, ChainError> {
    refuse_ca(presented.leaf())?;
    let mut first_fault = None;
    for path in path::candidates(presented, anchor)? {
        let checked = path::Checked::new(path, purpose, now);
        match checked.and_then(|path| signatures::verify(path, now, cache)) {
            Ok(path) => return Ok(VerifiedChain::of(&path)),
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

/// Verifies that the presented leaf is the certificate that an individual enrollment or a device pins.
///
/// Nothing vouches for it but the pin; issuers, if any were shown, are not looked at. A self-signed leaf is fine.
///
/// # Errors
/// When it is another certificate, a CA, expired or not yet valid.
pub fn pin_leaf(
    presented: &PresentedChain,
    expected: Thumbprint,
    now: Timestamp,
) -> Result<PinnedLeaf, ChainError> {
    let leaf = presented.leaf();
    if leaf.sha256() != expected {
        return Err(ChainError::NotPinned {
            expected,
            presented: leaf.sha256(),
        });
    }
    refuse_ca(leaf)?;
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

/// Checks that the peer holds exactly the pinned certificate, and that it is valid now: whoever pinned it vouches for the rest, such
/// as a self-signed CA certificate, which is what `openssl req -x509` makes.
///
/// # Errors
/// When it is another certificate, expired or not yet valid.
pub fn pin_certificate(
    presented: &PresentedChain,
    expected: Thumbprint,
    now: Timestamp,
) -> Result<PinnedLeaf, ChainError> {
    let leaf = presented.leaf();
    if leaf.sha256() != expected {
        return Err(ChainError::NotPinned {
            expected,
            presented: leaf.sha256(),
        });
    }
    path::require_valid_at(leaf, now)?;
    Ok(PinnedLeaf { leaf: leaf.clone() })
}

fn refuse_ca(leaf: &Certificate) -> Result<(), ChainError> {
    if leaf.is_ca() {
        return Err(ChainError::LeafIsCa {
            subject: leaf.subject(),
        });
    }
    Ok(())
}
