//! What issuers sign beside certificates, and where it is published.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};

use ids::{Thumbprint, Timestamp};
use pki::{
    Certificate, CrlFields, OcspAnswer, RevokedEntry, UnverifiedCrl, build_crl, build_ocsp_response,
};

use super::{DeviceIssuers, IssuerError};

/// Where issuers publish.
#[derive(Default)]
pub(super) struct Published {
    /// Scheme, host and port of the URLs in certificates; `None`: they carry none.
    address: Option<String>,
    /// SHA-256 of CA certificates whose revocation lists are long, so that new certificates name
    /// one of their parts.
    divided: RwLock<HashSet<Thumbprint>>,
}

impl DeviceIssuers {
    /// The same issuers, whose certificates name this address, for example
    /// `http://pki.example.org:8080`.
    #[must_use]
    pub fn published_at(mut self, address: String) -> Self {
        self.published.address = Some(address);
        self
    }

    /// The address that certificates name.
    #[must_use]
    pub fn address(&self) -> Option<&str> {
        self.published.address.as_deref()
    }

    /// Whether new certificates of a CA name a part of its revocation list.
    #[must_use]
    pub fn has_divided_list(&self, issuer: &Thumbprint) -> bool {
        let divided = self.published.divided.read();
        divided
            .unwrap_or_else(PoisonError::into_inner)
            .contains(issuer)
    }

    /// From now on new certificates of a CA name a part of its revocation list.
    pub fn divide_list(&self, issuer: Thumbprint) {
        let divided = self.published.divided.write();
        divided
            .unwrap_or_else(PoisonError::into_inner)
            .insert(issuer);
    }

    /// The certificate of a CA whose key is here.
    pub fn ca_certificate(&self, issuer: &Thumbprint) -> Result<Certificate, IssuerError> {
        Ok(self.open_issuer(issuer)?.issuer.certificate().clone())
    }

    /// Signs a revocation list, DER.
    ///
    /// # Errors
    /// When the key is missing or unusable, or what was signed does not verify.
    pub fn sign_crl<'e>(
        &self,
        issuer: &Thumbprint,
        fields: &CrlFields<'_>,
        entries: impl IntoIterator<Item = RevokedEntry<'e>>,
    ) -> Result<Vec<u8>, IssuerError> {
        let issuer = &self.open_issuer(issuer)?.issuer;
        let der = build_crl(issuer, fields, entries)?;
        // A broken list would be found by everybody who verifies a certificate.
        let read = UnverifiedCrl::read(der).map_err(IssuerError::CrlUnreadable)?;
        let verified = read.verify_at_any_time(issuer.certificate());
        Ok(verified.map_err(IssuerError::CrlUnverified)?.into_der())
    }

    /// Signs an OCSP response, DER.
    ///
    /// # Errors
    /// When the key is missing or unusable.
    pub fn sign_ocsp(
        &self,
        issuer: &Thumbprint,
        answers: &[OcspAnswer<'_>],
        nonce: Option<&[u8]>,
        now: Timestamp,
    ) -> Result<Vec<u8>, IssuerError> {
        let issuer = &self.open_issuer(issuer)?.issuer;
        Ok(build_ocsp_response(issuer, answers, nonce, now)?)
    }
}
