use ids::{IssuerName, Thumbprint};
use rusqlite::params;

use crate::sqlite::decode;
use crate::{CertificateSlot, StoreError, View};

impl View<'_> {
    /// How many individual enrollments that name an issuer pin a certificate of each of its CAs in
    /// a slot.
    pub fn pinned_by_authority(
        &self,
        id_scope: &str,
        (issuer, name): (i64, &IssuerName),
        slot: CertificateSlot,
    ) -> Result<Vec<(Thumbprint, u64)>, StoreError> {
        let sql = "SELECT c.authority, count(*)
                   FROM enrollments AS e
                   JOIN enrollment_certificates AS p ON p.enrollment = e.id AND p.slot = ?4
                   JOIN issued_certificates AS c ON c.id_scope = ?1 AND c.issuer = ?3
                     AND c.folded = e.folded AND c.thumbprint = p.thumbprint
                   WHERE e.issuer = ?2 AND e.kind = 'individual'
                   GROUP BY c.authority";
        let values = params![id_scope, issuer, name.folded(), slot.name()];
        self.all(sql, values, |row| {
            Ok((decode::thumbprint(row, 0)?, row.get(1)?))
        })
    }
}
