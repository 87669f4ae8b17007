//! What issuers publish about the certificates that they have issued.

use ids::{IssuerName, Timestamp};
use registry::StorageError;
use store::{RevokedCertificateRow, StoreError, View};

use super::Provisioning;

impl Provisioning {
    /// Moves with every commit that revokes, holds or restores a certificate of any issuer of the
    /// server. As long as it stays the same, what was read of them holds.
    #[must_use]
    pub fn revocations_generation(&self) -> u64 {
        self.registry.store().revocations_generation()
    }

    /// A page of the certificates of an issuer that are held or revoked and end from
    /// `expires_from`, after a row id.
    pub async fn revoked_certificates(
        &self,
        issuer: &IssuerName,
        expires_from: Timestamp,
        after: i64,
        limit: usize,
    ) -> Result<Vec<RevokedCertificateRow>, StorageError> {
        let (id_scope, issuer) = (self.id_scope(), issuer.folded());
        let expires_from = expires_from.ticks();
        let scan = move |view: &View<'_>| {
            view.revoked_certificates(&id_scope, &issuer, expires_from, after, limit)
        };
        Ok(self.registry.store().scan::<_, StoreError, _>(scan).await?)
    }
}
