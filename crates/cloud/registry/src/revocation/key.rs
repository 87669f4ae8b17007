use std::sync::Arc;

use aws_lc_rs::digest;
use ids::{CertificateSerial, Thumbprint};
use pki::{Certificate, PresentedChain};

/// 128 bits of a SHA-256.
pub(super) type Digest = [u8; 16];

/// A certificate as revocation lists name it: by issuer and serial number. Small, because each
/// session has some.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CertificateKey {
    pub(super) issuer: Digest,
    /// Of the issuer's key, where the certificate says it: CAs of one name may have several.
    pub(super) authority_key: Option<Digest>,
    /// `None` when it is longer than any that lists have.
    pub(super) serial: Option<CertificateSerial>,
}

impl CertificateKey {
    #[must_use]
    pub fn of(certificate: &Certificate) -> Self {
        Self {
            issuer: short(certificate.issuer_key()),
            authority_key: certificate.authority_key_id().map(short),
            serial: certificate.serial().ok(),
        }
    }

    /// `None` when it is longer than any that lists have.
    #[must_use]
    pub fn serial(&self) -> Option<CertificateSerial> {
        self.serial
    }
}

/// The certificate that a client proved itself with, and those that were presented as its issuers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenPath {
    /// SHA-256 of the client's certificate.
    pub leaf: Thumbprint,
    /// The client's certificate first.
    pub keys: Arc<[CertificateKey]>,
}

impl ProvenPath {
    pub fn of<'c>(
        leaf: &'c Certificate,
        issuers: impl IntoIterator<Item = &'c Certificate>,
    ) -> Self {
        let path = std::iter::once(leaf).chain(issuers);
        Self {
            leaf: leaf.sha256(),
            keys: path.map(CertificateKey::of).collect(),
        }
    }

    /// The serial number of the client's certificate.
    #[must_use]
    pub fn serial(&self) -> Option<CertificateSerial> {
        self.keys.first().and_then(CertificateKey::serial)
    }
}

/// A CA as its certificates name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CaKey {
    pub(super) name: Digest,
    /// `None` when its certificate does not say it; certificates may then say anything.
    pub(super) key: Option<Digest>,
}

impl CaKey {
    pub(super) fn of(ca: &Certificate) -> Self {
        Self {
            name: short(ca.subject_key()),
            key: ca.subject_key_id().map(short),
        }
    }

    /// Whether it may have issued a certificate that names it as issuer.
    pub(super) fn may_have_issued(&self, certificate: &CertificateKey) -> bool {
        match (self.key, certificate.authority_key) {
            (Some(own), Some(named)) => own == named,
            _ => true,
        }
    }
}

fn short(bytes: &[u8]) -> Digest {
    let hash = digest::digest(&digest::SHA256, bytes);
    let mut short = Digest::default();
    short.copy_from_slice(&hash.as_ref()[..16]);
    short
}

/// The leaf of a presented chain and those of its certificates that lead up from it by name. What
/// else a client presents says nothing about it.
pub fn name_path(chain: &PresentedChain) -> impl Iterator<Item = &Certificate> {
    let issuer_of = |certificate: &&Certificate| {
        let issuers = chain.issuers().iter();
        issuers
            .filter(|issuer| *issuer != *certificate)
            .find(|issuer| certificate.is_issued_by_name(issuer))
    };
    std::iter::successors(Some(chain.leaf()), issuer_of).take(1 + chain.issuers().len())
}
