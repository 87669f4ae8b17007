use rusqlite::params;

use crate::{CertificateRow, Lock, StoreError, Tx, View};

impl View<'_> {
    /// Row id and etag of the enrollment that has this certificate.
    pub fn enrollment_of_certificate(
        &self,
        id_scope: &str,
        thumbprint: &[u8; 32],
    ) -> Result<Option<(i64, String)>, StoreError> {
        let sql = "SELECT e.id, e.etag FROM enrollment_certificates AS c JOIN enrollments AS e ON
                   e.id = c.enrollment
                   WHERE c.id_scope = ?1 AND c.thumbprint = ?2";
        self.one(sql, params![id_scope, thumbprint], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
    }

    /// The enrollment's certificates, primary first.
    pub fn certificates(&self, enrollment: i64) -> Result<Vec<CertificateRow>, StoreError> {
        let sql = "SELECT thumbprint, slot, der, subject FROM enrollment_certificates WHERE
                   enrollment = ?1 ORDER BY slot";
        self.all(sql, [enrollment], |row| {
            Ok(CertificateRow {
                thumbprint: row.get(0)?,
                slot: row.get(1)?,
                der: row.get(2)?,
                subject: row.get(3)?,
            })
        })
    }
}

impl Tx<'_> {
    /// Makes these the enrollment's certificates. A certificate belongs to one enrollment of a
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
        let sql =
            "INSERT INTO enrollment_certificates (id_scope, thumbprint, enrollment, slot, der,
            subject)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        certificates.iter().try_for_each(|row| {
            #[rustfmt::skip]
            let values = params![
                id_scope, row.thumbprint, enrollment, row.slot, row.der, row.subject,
            ];
            self.write(lock, sql, values).map(drop)
        })
    }
}
