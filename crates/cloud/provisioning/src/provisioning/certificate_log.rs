//! The log of the certificates that a service has issued, read.

use ids::{CertificateSerial, Thumbprint};
use registry::StorageError;
use store::View;

use super::Provisioning;

/// The log of one service at one moment.
pub struct CertificateLog<'a> {
    view: &'a View<'a>,
    id_scope: &'a str,
}

impl CertificateLog<'_> {
    /// How many certificates it has.
    pub fn size(&self) -> Result<u64, StorageError> {
        Ok(self.view.certificate_log_size(self.id_scope)?)
    }

    /// The hash of a complete subtree of `2^level` certificates, by its place among those.
    pub fn node(&self, level: u32, place: u64) -> Result<[u8; 32], StorageError> {
        Ok(self
            .view
            .certificate_log_node(self.id_scope, level, place)?)
    }

    /// The hashes of neighbouring subtrees, as far as they are complete.
    pub fn nodes(&self, level: u32, first: u64, count: u16) -> Result<Vec<[u8; 32]>, StorageError> {
        let range = (first, count);
        Ok(self
            .view
            .certificate_log_nodes(self.id_scope, level, range)?)
    }

    /// The place of a certificate; `None` when it is not in the log.
    pub fn index(
        &self,
        serial: &CertificateSerial,
        thumbprint: &Thumbprint,
    ) -> Result<Option<u64>, StorageError> {
        match self
            .view
            .issued_certificate(self.id_scope, serial, thumbprint)?
        {
            Some(row) => Ok(self.view.certificate_log_index(&row)?),
            None => Ok(None),
        }
    }
}

impl Provisioning {
    /// Reads the log of the service, all of it at the same moment.
    pub fn read_certificate_log<T, E: From<StorageError>>(
        &self,
        read: impl FnOnce(&CertificateLog<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let id_scope = self.id_scope();
        let at_once = |view: &View<'_>| {
            let id_scope = &id_scope;
            Ok::<_, StorageError>(read(&CertificateLog { view, id_scope }))
        };
        let store = self.registry.store();
        store.read(|view| view.at_once(at_once))?
    }
}
