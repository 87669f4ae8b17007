//! How groups are found by the certificates that vouch for their devices: their own, or the
//! CA certificates they refer to.

use ids::Thumbprint;
use rusqlite::params;

use crate::sqlite::enrollments::version;
use crate::sqlite::{ca_certificates, decode};
use crate::{
    CaCertificateReference, CertificateSlot, EnrollmentVersion, Lock, ReferredCaCertificate,
    StoreError, Tx, View,
};

impl View<'_> {
    /// The group that refers to the CA certificate with this thumbprint. One that was withdrawn
    /// counts, unless the certificate was uploaded anew.
    pub fn group_of_ca_certificate(
        &self,
        id_scope: &str,
        thumbprint: &Thumbprint,
    ) -> Result<Option<EnrollmentVersion>, StoreError> {
        let sql = "SELECT e.id, e.etag FROM ca_certificates AS a
                   JOIN enrollment_ca_certificates AS r ON r.ca_certificate = a.id JOIN
                   enrollments AS e ON e.id = r.enrollment
                   WHERE a.id_scope = ?1 AND a.thumbprint = ?2 AND e.kind = 'group'
                   ORDER BY a.state = 'withdrawn', e.folded LIMIT 1";
        self.one(sql, params![id_scope, thumbprint.as_bytes()], version)
    }

    /// The groups with a certificate of this subject (DER): their own, or an uploaded CA
    /// certificate. Groups whose certificates' subjects were not noted yet are among them.
    pub fn groups_of_subject(
        &self,
        id_scope: &str,
        subject: &[u8],
    ) -> Result<Vec<EnrollmentVersion>, StoreError> {
        let sql = "SELECT e.id, e.etag FROM enrollment_certificates AS c JOIN enrollments AS e ON
                   e.id = c.enrollment
                   WHERE c.id_scope = ?1 AND c.subject IN (?2, x'')
                   UNION
                   SELECT e.id, e.etag FROM ca_certificates AS a
                   JOIN enrollment_ca_certificates AS r ON r.ca_certificate = a.id JOIN
                   enrollments AS e ON e.id = r.enrollment
                   WHERE a.id_scope = ?1 AND a.subject = ?2 AND e.kind = 'group'";
        self.all(sql, params![id_scope, subject], version)
    }

    /// The CA certificates that an enrollment refers to, primary first.
    pub fn ca_certificates_of_enrollment(
        &self,
        enrollment: i64,
    ) -> Result<Vec<ReferredCaCertificate>, StoreError> {
        let sql = "SELECT a.id, a.spelled, a.thumbprint, a.subject, a.der, a.state, a.code,
                          a.code_expires, a.etag, a.created, a.updated, r.slot
                   FROM enrollment_ca_certificates AS r JOIN ca_certificates AS a ON a.id =
                   r.ca_certificate
                   WHERE r.enrollment = ?1 ORDER BY r.slot";
        self.all(sql, [enrollment], |row| {
            Ok(ReferredCaCertificate {
                slot: decode::named(row, 11, "slot", CertificateSlot::named)?,
                row: ca_certificates::read(row)?,
            })
        })
    }

    /// Another group that refers to a CA certificate.
    pub fn other_group_of_ca_certificate(
        &self,
        ca_certificate: i64,
        enrollment: i64,
    ) -> Result<Option<i64>, StoreError> {
        let sql = "SELECT e.id FROM enrollment_ca_certificates AS r JOIN enrollments AS e ON e.id
                   = r.enrollment
                   WHERE r.ca_certificate = ?1 AND e.id <> ?2 AND e.kind = 'group' LIMIT 1";
        self.one(sql, [ca_certificate, enrollment], |row| row.get(0))
    }
}

impl Tx<'_> {
    /// Makes these the CA certificates that an enrollment refers to.
    pub fn replace_ca_certificates(
        &self,
        id_scope: &str,
        enrollment: i64,
        references: &[CaCertificateReference],
    ) -> Result<(), StoreError> {
        self.bump_group_generation();
        let lock = Lock::Service { id_scope };
        let sql = "DELETE FROM enrollment_ca_certificates WHERE enrollment = ?1";
        self.write(lock, sql, [enrollment])?;
        let sql = "INSERT INTO enrollment_ca_certificates (enrollment, slot, ca_certificate)
                   VALUES (?1, ?2, ?3)";
        references.iter().try_for_each(|reference| {
            let values = params![enrollment, reference.slot.name(), reference.ca_certificate];
            self.write(lock, sql, values).map(drop)
        })
    }

    /// Deletes withdrawn CA certificates that no enrollment refers to any more.
    pub fn forget_withdrawn_ca_certificates(&self, id_scope: &str) -> Result<(), StoreError> {
        let sql = "DELETE FROM ca_certificates WHERE id_scope = ?1 AND state = 'withdrawn'
                   AND NOT EXISTS (SELECT 1 FROM enrollment_ca_certificates AS r WHERE
                   r.ca_certificate = ca_certificates.id)";
        if self.write(Lock::Service { id_scope }, sql, [id_scope])? > 0 {
            self.bump_group_generation();
        }
        Ok(())
    }
}
