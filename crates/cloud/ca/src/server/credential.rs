//! The certificate and key of a TLS server.

use std::time::Duration;

use ids::Timestamp;
use pki::{Certificate, KeyMismatch, PrivateKey, ServerName, Signer};
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

/// The chain and the key of a TLS server.
#[derive(Clone)]
pub struct ServerCredential {
    pub(super) certificate: Certificate,
    pub(super) ca: Certificate,
    pub(super) key: PrivateKey,
}

impl ServerCredential {
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The CA that issued it.
    #[must_use]
    pub fn ca(&self) -> &Certificate {
        &self.ca
    }

    /// What TLS presents: the certificate alone, because clients have the CA, and its key.
    pub fn certified(&self) -> Result<CertifiedKey, KeyMismatch> {
        self.signer().certified(&self.certificate, &[])
    }

    /// The key, which signs handshakes.
    #[must_use]
    pub fn signer(&self) -> &Signer {
        self.key.as_ref()
    }

    pub(super) fn fits(&self, wanted: &[ServerName], now: Timestamp) -> bool {
        let mut names = self.certificate.server_names();
        names.sort();
        names.dedup();
        names == wanted && self.is_fresh(now)
    }

    pub(super) fn is_fresh(&self, now: Timestamp) -> bool {
        let life = self
            .certificate
            .not_after()
            .since(self.certificate.not_before());
        let left = self.certificate.not_after().since(now);
        // Near the end of the CA, certificates are valid for a short time only. Without this
        // exception they would be renewed at every check.
        let enough = left > life / 3 || self.certificate.not_after() == self.ca.not_after();
        enough && left > Duration::ZERO && self.certificate.not_before() <= now
    }

    pub(super) fn to_pem(&self) -> Zeroizing<String> {
        let mut text = self.key.to_pem();
        text.push_str(&self.certificate.to_pem());
        text.push_str(&self.ca.to_pem());
        text
    }
}

impl std::fmt::Debug for ServerCredential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerCredential")
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}
