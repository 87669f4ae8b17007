//! The log of the certificates that a service has issued, as proofs are made of it.

use pki::log::{Checkpoint, LogHash, LogNodes, tree_hash};
use provisioning::{CertificateLog, Provisioning};
use registry::StorageError;

/// The stored hashes.
pub struct StoredLog<'a, 'v>(pub &'a CertificateLog<'v>);

impl LogNodes for StoredLog<'_, '_> {
    type Error = StorageError;

    fn node(&self, level: u32, index: u64) -> Result<LogHash, StorageError> {
        self.0.node(level, index)
    }
}

impl StoredLog<'_, '_> {
    /// The head of the log of this name.
    pub fn head(&self, origin: &str) -> Result<Checkpoint, StorageError> {
        self.head_at(origin, self.0.size()?)
    }

    /// The head that the log had when it had so many certificates, which must be in it.
    pub fn head_at(&self, origin: &str, size: u64) -> Result<Checkpoint, StorageError> {
        Ok(Checkpoint {
            origin: origin.to_owned(),
            size,
            root: tree_hash(self, size)?,
        })
    }
}

/// The name of a service's log.
#[must_use]
pub fn origin(provisioning: &Provisioning) -> String {
    format!("muster/{}", provisioning.service().id_scope)
}
