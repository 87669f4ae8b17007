//! Whether an issued certificate is the one that was requested.

use pki::{Certificate, Signer};

use super::managed::Wanted;
use super::slots::{Held, HeldKey, held};

/// Why an issued certificate is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateFault {
    #[error("the issuer gave no certificate")]
    Nothing,
    #[error("the issuer gave a certificate for another key, of {0}")]
    OtherKey(String),
    #[error(
        "the issuer gave a certificate for {found}, but the common name has to be {expected:?}, \
         by which the device registers"
    )]
    OtherName { expected: String, found: String },
    #[error("the issuer gave a certificate of {0} that is no CA, and a CA was requested")]
    NotACa(String),
    #[error("the issuer gave a CA certificate, {0}, and a certificate of a device was requested")]
    ACa(String),
    #[error("the certificate of {0} is not followed by that of its issuer")]
    Order(String),
}

/// A chain whose leaf is for the requested key and of the requested kind. Only [`new`](Self::new)
/// makes one.
#[derive(Debug)]
pub(super) struct CheckedChain {
    leaf: Certificate,
    issuers: Vec<Certificate>,
}

impl CheckedChain {
    /// Whether the time of the certificate has come is not looked at: the issuer's clock may be
    /// right, and the device's wrong.
    pub(super) fn new(
        wanted: &Wanted,
        key: &Signer,
        chain: Vec<Certificate>,
    ) -> Result<Self, CertificateFault> {
        let mut chain = chain.into_iter();
        let leaf = chain.next().ok_or(CertificateFault::Nothing)?;
        let issuers: Vec<Certificate> = chain.collect();
        let subject = leaf.subject();
        if key.matches(&leaf).is_err() {
            return Err(CertificateFault::OtherKey(subject));
        }
        match (wanted.profile.is_ca(), leaf.is_ca()) {
            (true, false) => return Err(CertificateFault::NotACa(subject)),
            (false, true) => return Err(CertificateFault::ACa(subject)),
            _ => {}
        }
        let expected = wanted.subject.as_str();
        let has_name = leaf.subject_common_name().unwrap_or_default();
        if !wanted.profile.is_ca() && !has_name.eq_ignore_ascii_case(expected) {
            return Err(CertificateFault::OtherName {
                expected: expected.to_owned(),
                found: subject,
            });
        }
        let mut below = &leaf;
        for issuer in &issuers {
            if !below.is_issued_by_name(issuer) || !below.is_signed_by(issuer) {
                return Err(CertificateFault::Order(below.subject()));
            }
            below = issuer;
        }
        Ok(Self { leaf, issuers })
    }

    /// As it is kept.
    pub(super) fn held(self, key: HeldKey) -> Held {
        held(key, self.leaf, self.issuers)
    }
}
