//! A certificate and its key that the configuration names.

use std::sync::Arc;

use pki::{Certificate, Issuer, Signer};

use super::issuer::{IssuanceError, LocalCa, OpenCa};
use crate::config::{FileReference, KeyLocation};

/// Opens keys that the configuration names.
pub trait ConfiguredKeys: std::fmt::Debug + Send + Sync {
    fn open_configured(&self, location: &KeyLocation) -> Result<Signer, IssuanceError>;
}

/// A certificate and its key. Both are read each time, because their owner may replace them.
#[derive(Debug, Clone)]
pub struct IdentityFiles {
    pub certificate: FileReference,
    pub key: KeyLocation,
    pub keys: Arc<dyn ConfiguredKeys>,
}

impl IdentityFiles {
    pub fn read(&self) -> Result<device::Identity, IssuanceError> {
        let chain = self.chain()?;
        let signer = self.keys.open_configured(&self.key)?;
        device::Identity::new(&chain, &signer).map_err(|error| {
            let (key, path) = (&self.certificate.key, self.certificate.path.display());
            let why = ids::error_chain(&error);
            IssuanceError::Files(format!("{key} {path} and its key: {why}"))
        })
    }

    /// The certificates, the leaf first.
    pub fn chain(&self) -> Result<Vec<Certificate>, IssuanceError> {
        read_certificates(&self.certificate)
    }
}

impl LocalCa for IdentityFiles {
    fn open(&self) -> Result<OpenCa, IssuanceError> {
        let chain = self.chain()?;
        let first = chain.first().cloned().ok_or(IssuanceError::NoCa)?;
        let signer = self.keys.open_configured(&self.key)?;
        Ok(OpenCa {
            issuer: Issuer::new(first, signer)?,
            chain,
        })
    }
}

/// The certificates of a file, in any form that `config apply` takes.
pub(crate) fn read_certificates(file: &FileReference) -> Result<Vec<Certificate>, IssuanceError> {
    let failed =
        |why: String| IssuanceError::Files(format!("{} {}: {why}", file.key, file.path.display()));
    let bytes = std::fs::read(&file.path).map_err(|error| failed(error.to_string()))?;
    Certificate::read_all(&bytes).map_err(|error| failed(ids::error_chain(&error)))
}
