//! A device's certificate chain with its key.

use std::sync::Arc;

use pki::{Certificate, KeyError, KeyMismatch, PemError, PrivateKey, Signer};
use rustls::client::ResolvesClientCert;
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
    /// When the chain is empty, or the key is not the leaf's.
    pub fn new(chain: &[Certificate], key: &impl AsRef<Signer>) -> Result<Self, IdentityError> {
        let leaf = chain.first().ok_or(IdentityError::NoCertificate)?;
        let key = key.as_ref();
        Ok(Self {
            leaf: leaf.clone(),
            certified: key.certified(leaf, &chain[1..])?,
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
