//! A CA on its way to a server.

use std::path::Path;

use pki::Certificate;
use zeroize::Zeroizing;

use crate::{CaDirectory, CaError, files};

/// An existing CA, read from files so that it can be imported by a server.
pub struct PortableIssuer {
    /// Its certificate followed by its issuers, PEM.
    pub chain: String,
    /// Its private key, PEM, not encrypted.
    pub key: Zeroizing<String>,
}

impl PortableIssuer {
    /// Reads a certificate file, with the chain in it, and a key file.
    pub fn read(
        certificate: &Path,
        key: &Path,
        passphrase: Option<&[u8]>,
    ) -> Result<Self, CaError> {
        Ok(Self {
            chain: Self::chain(certificate)?,
            key: files::read_key(key, passphrase)?.to_pem(),
        })
    }

    /// Reads a certificate file with the chain in it, as PEM.
    pub fn chain(certificate: &Path) -> Result<String, CaError> {
        let bytes = files::read_bytes(certificate)?;
        let chain = Certificate::read_all(&bytes).map_err(|source| CaError::Certificate {
            path: certificate.to_owned(),
            source,
        })?;
        Ok(chain.iter().map(Certificate::to_pem).collect())
    }

    /// Reads the intermediate of a hierarchy that `muster ca init` made, with its root.
    pub fn from_directory(dir: &Path, passphrase: Option<&[u8]>) -> Result<Self, CaError> {
        let opened = CaDirectory::open(dir, passphrase)?;
        let chain = std::iter::once(opened.intermediate()).chain(opened.above_intermediate());
        Ok(Self {
            chain: chain.map(Certificate::to_pem).collect(),
            key: files::read_key(&opened.intermediate_paths().key, passphrase)?.to_pem(),
        })
    }
}
