//! A device's certificate chain with its key.

use std::sync::Arc;

use pki::{Certificate, KeyError, KeyMismatch, PemError, PrivateKey};
use rustls::client::ResolvesClientCert;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::{CertifiedKey, SingleCertAndKey};

/// Why a certificate and a key do not make an identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("an identity needs at least one certificate")]
    NoCertificate,
    #[error("the identity's certificates cannot be read")]
    Certificates(#[from] PemError),
    #[error("the identity's private key cannot be read")]
    Key(#[from] KeyError),
    #[error("certificate and private key do not match")]
    Mismatch(#[from] KeyMismatch),
    #[error("TLS cannot use the identity's private key")]
    Unusable(#[source] rustls::Error),
}

/// A device's certificate chain and the key of its leaf.
#[derive(Clone)]
pub struct Identity {
    leaf: Certificate,
    certified: CertifiedKey,
}

impl Identity {
    /// Joins a chain, leaf first, and the leaf's key.
    ///
    /// # Errors
    /// When the chain is empty, the key is not the leaf's, or TLS cannot sign with it.
    pub fn new(chain: &[Certificate], key: &PrivateKey) -> Result<Self, IdentityError> {
        let leaf = chain.first().ok_or(IdentityError::NoCertificate)?;
        let proof = key.matches(leaf)?;
        let der = PrivateKeyDer::Pkcs8(key.pkcs8_der());
        let signing = aws_lc_rs::sign::any_supported_type(&der).map_err(IdentityError::Unusable)?;
        let chain = chain.iter().map(|c| c.certificate_der().clone()).collect();
        Ok(Self {
            leaf: proof.certificate().clone(),
            certified: CertifiedKey::new(chain, signing),
        })
    }

    /// Joins a PEM chain, leaf first, and the leaf's key in PEM.
    pub fn from_pem(chain: &str, key: &str) -> Result<Self, IdentityError> {
        let chain = Certificate::parse_pem_bundle(chain)?;
        Self::new(&chain, &PrivateKey::from_pem(key, None)?)
    }

    #[must_use]
    pub fn leaf(&self) -> &Certificate {
        &self.leaf
    }

    /// Sends this identity whatever issuers the server names. Hubs and provisioning services
    /// decide after the handshake.
    pub(crate) fn resolver(&self) -> Arc<dyn ResolvesClientCert> {
        Arc::new(SingleCertAndKey::from(self.certified.clone()))
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({})", self.leaf.subject())
    }
}
