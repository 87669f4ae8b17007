//! A change of a CA certificate that is stored.

use ids::{CertificateName, Etag, Timestamp};
use registry::IfMatch;
use store::{CaCertificateRow, Lock, StoreError, Tx, View};

use super::{is_there, record};
use crate::ca_certificate::{CaCertificate, CaCertificateError, PossessionProof};

/// Which CA certificate is changed, and by what.
pub(super) struct Change {
    pub(super) id_scope: String,
    pub(super) name: CertificateName,
    pub(super) if_match: IfMatch,
    pub(super) etag: Etag,
    pub(super) now: Timestamp,
}

impl Change {
    pub(super) fn locks(&self) -> Vec<Lock<'_>> {
        let id_scope = &self.id_scope;
        vec![Lock::Service { id_scope }]
    }

    /// The row to be changed, if it is there and of the version wanted.
    pub(super) fn stored(&self, view: &View<'_>) -> Result<CaCertificateRow, CaCertificateError> {
        let row = view.ca_certificate(&self.id_scope, &self.name)?;
        let row = row
            .filter(is_there)
            .ok_or_else(|| CaCertificateError::NotFound(self.name.clone()))?;
        if !self.if_match.allows(&row.etag) {
            return Err(CaCertificateError::PreconditionFailed(self.name.clone()));
        }
        Ok(row)
    }

    /// The row, if what was shown proves possession of its key.
    pub(super) fn verified(
        &self,
        view: &View<'_>,
        proof: &PossessionProof,
    ) -> Result<CaCertificateRow, CaCertificateError> {
        let row = self.stored(view)?;
        let code = row.code.as_ref();
        let code = code.filter(|code| code.text.eq_ignore_ascii_case(&proof.code));
        // Another certificate may have taken the name since the proof was looked at.
        let code = code.filter(|_| row.thumbprint == proof.ca_certificate);
        let Some(code) = code else {
            return Err(CaCertificateError::OtherCode {
                name: self.name.clone(),
                presented: proof.code.chars().take(128).collect(),
            });
        };
        if code.expires < self.now {
            return Err(CaCertificateError::CodeExpired {
                name: self.name.clone(),
                expired: code.expires,
            });
        }
        Ok(row)
    }

    /// Gives the enrollments that refer to a CA certificate the etag of the change.
    pub(super) fn touch_enrollments(
        &self,
        tx: &Tx<'_>,
        row: &CaCertificateRow,
    ) -> Result<(), StoreError> {
        tx.touch_enrollments_of_ca_certificate(&self.id_scope, row.id, &self.etag)
    }

    /// Writes a row with a fresh etag; inserts one without an id.
    pub(super) fn write(
        &self,
        tx: &Tx<'_>,
        mut row: CaCertificateRow,
    ) -> Result<CaCertificate, StoreError> {
        let before = std::mem::replace(&mut row.etag, self.etag.clone());
        row.updated = self.now.ticks();
        match row.id {
            0 => row.id = tx.insert_ca_certificate(&self.id_scope, &row)?,
            _ => tx.update_ca_certificate(&self.id_scope, &before, &row)?,
        }
        Ok(record(row))
    }
}
