use ids::Timestamp;

use super::read::{Crl, CrlNumber, Entries, UnverifiedCrl};
use crate::Certificate;
use crate::cert::{canonical_name, is_signed_with, name_text};

/// Why a list is not that of a CA, or not its list of today.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CrlRefused {
    /// The list has another issuer.
    #[error("it is the revocation list of {issuer}, not of {subject}")]
    OfAnotherCa {
        /// The issuer of the list.
        issuer: String,
        /// The subject of the CA certificate.
        subject: String,
    },
    /// The CA certificate may not sign lists.
    #[error("{subject} may not sign revocation lists: it is no CA, or its keyUsage lacks cRLSign")]
    NoCrlSign {
        /// The subject of the CA certificate.
        subject: String,
    },
    /// The signature is not one of the CA's key, or of a kind that is not supported.
    #[error(
        "its signature was not made with the key of {subject}, or not by RSA, ECDSA or Ed25519"
    )]
    Signature {
        /// The subject of the CA certificate.
        subject: String,
    },
    /// The list begins in the future.
    #[error("it is valid only from {}", this_update.in_seconds())]
    NotYetValid {
        /// thisUpdate.
        this_update: Timestamp,
    },
    /// The next list should be there.
    #[error("it ended at {}; a newer one must be there", next_update.in_seconds())]
    Expired {
        /// nextUpdate.
        next_update: Timestamp,
    },
}

/// A list that a CA signed. Only [`UnverifiedCrl`] makes one.
#[derive(Debug)]
pub struct VerifiedCrl(Crl);

impl UnverifiedCrl {
    /// Proves that the list is that of `ca` and valid at `now`.
    pub fn verify(self, ca: &Certificate, now: Timestamp) -> Result<VerifiedCrl, CrlRefused> {
        let verified = self.verify_at_any_time(ca)?;
        verified.valid_at(now)?;
        Ok(verified)
    }

    /// Proves that the list is that of `ca`. What an old list names stays revoked.
    pub fn verify_at_any_time(self, ca: &Certificate) -> Result<VerifiedCrl, CrlRefused> {
        let crl = self.0;
        let subject = ca.subject();
        let issuer = &*crl.issuer;
        let same = || *canonical_name(issuer) == *ca.subject_key();
        if issuer != ca.subject_der() && !same() {
            let issuer = name_text(issuer);
            return Err(CrlRefused::OfAnotherCa { issuer, subject });
        }
        if !ca.may_sign_crls() {
            return Err(CrlRefused::NoCrlSign { subject });
        }
        if !is_signed_with(&crl.der, ca.key()) {
            return Err(CrlRefused::Signature { subject });
        }
        Ok(VerifiedCrl(crl))
    }
}

impl VerifiedCrl {
    /// Whether `now` is between thisUpdate and nextUpdate; a list without nextUpdate does not end.
    pub fn valid_at(&self, now: Timestamp) -> Result<&Self, CrlRefused> {
        let this_update = self.0.this_update;
        if now < this_update {
            return Err(CrlRefused::NotYetValid { this_update });
        }
        match self.0.next_update {
            Some(next_update) if now > next_update => Err(CrlRefused::Expired { next_update }),
            _ => Ok(self),
        }
    }

    /// The revoked certificates, in the order of the list.
    #[must_use]
    pub fn entries(&self) -> Entries<'_> {
        self.0.entries()
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.count
    }

    /// Whether no certificate is revoked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.count == 0
    }

    /// The DER of the list.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// The DER of the list, without a copy.
    #[must_use]
    pub fn into_der(self) -> Vec<u8> {
        self.0.der
    }

    /// When the list was made.
    #[must_use]
    pub fn this_update(&self) -> Timestamp {
        self.0.this_update
    }

    /// When the next list is there at the latest; lists need not say it.
    #[must_use]
    pub fn next_update(&self) -> Option<Timestamp> {
        self.0.next_update
    }

    /// cRLNumber, which version 1 lists lack.
    #[must_use]
    pub fn number(&self) -> Option<&CrlNumber> {
        self.0.extensions.number.as_ref()
    }

    /// `keyIdentifier` as the list names the key that signed it.
    #[must_use]
    pub fn authority_key_id(&self) -> Option<&[u8]> {
        self.0.extensions.authority_key_id.as_deref()
    }

    /// The URL of the distribution point whose certificates alone the list covers.
    #[must_use]
    pub fn distribution_point(&self) -> Option<&str> {
        self.0.extensions.distribution_point.as_deref()
    }
}
