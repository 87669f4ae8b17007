use ids::Thumbprint;
use rusqlite::params;

use crate::sqlite::{decode, enrollments};
use crate::{CertificateRow, CertificateSlot, EnrollmentVersion, Lock, StoreError, Tx, View};

impl View<'_> {
    /// The enrollment that has this certificate.
    pub fn enrollment_of_certificate(
        &self,
        id_scope: &str,
        thumbprint: &Thumbprint,
    ) -> Result<Option<EnrollmentVersion>, StoreError> {
        let sql = "SELECT e.id, e.etag FROM enrollment_certificates AS c JOIN enrollments AS e ON
                   e.id = c.enrollment
                   WHERE c.id_scope = ?1 AND c.thumbprint = ?2";
        let values = params![id_scope, thumbprint.as_bytes()];
        self.one(sql, values, enrollments::version)
    }

    /// The certificates of an enrollment, primary first.
    pub fn certificates(&self, enrollment: i64) -> Result<Vec<CertificateRow>, StoreError> {
        let sql = "SELECT thumbprint, slot, der, subject FROM enrollment_certificates WHERE
                   enrollment = ?1 ORDER BY slot";
        self.all(sql, [enrollment], |row| {
            Ok(CertificateRow {
                thumbprint: decode::thumbprint(row, 0)?,
                slot: decode::named(row, 1, "slot", CertificateSlot::named)?,
                der: row.get(2)?,
                subject: row.get(3)?,
            })
        })
    }
}

impl Tx<'_> {
    /// Makes these the certificates of an enrollment. A certificate belongs to one enrollment of a
    /// service.
    pub fn replace_certificates(
        &self,
        id_scope: &str,
        enrollment: i64,
        certificates: &[CertificateRow],
    ) -> Result<(), StoreError> {
        let lock = Lock::Service { id_scope };
        let sql = "DELETE FROM enrollment_certificates WHERE enrollment = ?1";
        self.write(lock, sql, [enrollment])?;
        let sql = "INSERT INTO enrollment_certificates
                     (id_scope, thumbprint, enrollment, slot, der, subject)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        certificates.iter().try_for_each(|row| {
            #[rustfmt::skip]
            let values = params![
                id_scope, row.thumbprint.as_bytes(), enrollment, row.slot.name(), row.der,
                row.subject,
            ];
            self.write(lock, sql, values).map(drop)
        })
    }
}
