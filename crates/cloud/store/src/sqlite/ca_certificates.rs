use ids::{CertificateName, Etag, Thumbprint, Timestamp};
use rusqlite::{Row, params};

use crate::sqlite::{decode, enrollments};
use crate::{
    CaCertificateRow, CaCertificateState, EnrollmentKey, Lock, StoreError, Tx, VerificationCode,
    View,
};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, spelled, thumbprint, subject, der, state, code, code_expires, etag,
                    created, updated FROM ca_certificates ",
            $rest
        )
    };
}

pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<CaCertificateRow> {
    let (code, expires): (Option<String>, Option<i64>) = (row.get(6)?, row.get(7)?);
    let code = code.zip(expires).map(|(text, expires)| VerificationCode {
        text,
        expires: Timestamp::from_ticks(expires),
    });
    Ok(CaCertificateRow {
        id: row.get(0)?,
        name: decode::id(row, 1, "CA certificate")?,
        thumbprint: decode::thumbprint(row, 2)?,
        subject: row.get(3)?,
        der: row.get(4)?,
        state: decode::named(row, 5, "state", CaCertificateState::named)?,
        code,
        etag: decode::id(row, 8, "etag")?,
        created: row.get(9)?,
        updated: row.get(10)?,
    })
}

impl View<'_> {
    /// The CA certificate of this name, withdrawn ones too.
    pub fn ca_certificate(
        &self,
        id_scope: &str,
        name: &CertificateName,
    ) -> Result<Option<CaCertificateRow>, StoreError> {
        let sql = select!("WHERE id_scope = ?1 AND folded = ?2");
        self.one(sql, [id_scope, &name.folded()], read)
    }

    /// The CA certificates of a service by name, without those withdrawn.
    pub fn ca_certificates(&self, id_scope: &str) -> Result<Vec<CaCertificateRow>, StoreError> {
        let sql = select!("WHERE id_scope = ?1 AND state <> 'withdrawn' ORDER BY folded");
        self.all(sql, [id_scope], read)
    }

    /// How many CA certificates a service has, without those withdrawn.
    pub fn ca_certificate_count(&self, id_scope: &str) -> Result<usize, StoreError> {
        let sql = "SELECT count(*) FROM ca_certificates
                   WHERE id_scope = ?1 AND state <> 'withdrawn'";
        self.count(sql, [id_scope])
    }

    /// The CA certificate with this thumbprint, if it is not withdrawn.
    pub fn ca_certificate_of_certificate(
        &self,
        id_scope: &str,
        thumbprint: &Thumbprint,
    ) -> Result<Option<CaCertificateRow>, StoreError> {
        let sql = select!("WHERE id_scope = ?1 AND thumbprint = ?2 AND state <> 'withdrawn'");
        self.one(sql, params![id_scope, thumbprint.as_bytes()], read)
    }

    /// The enrollments that refer to a CA certificate, groups first, at most `limit`.
    pub fn enrollments_of_ca_certificate(
        &self,
        ca_certificate: i64,
        limit: usize,
    ) -> Result<Vec<EnrollmentKey>, StoreError> {
        let sql = "SELECT DISTINCT e.kind, e.spelled FROM enrollment_ca_certificates AS r
                   JOIN enrollments AS e ON e.id = r.enrollment WHERE r.ca_certificate = ?1
                   ORDER BY e.kind, e.folded LIMIT ?2";
        self.all(sql, params![ca_certificate, limit], enrollments::key)
    }
}

impl Tx<'_> {
    /// Adds a CA certificate; returns its row id.
    pub fn insert_ca_certificate(
        &self,
        id_scope: &str,
        row: &CaCertificateRow,
    ) -> Result<i64, StoreError> {
        self.bump_group_generation();
        let sql = "INSERT INTO ca_certificates
                     (id_scope, folded, spelled, thumbprint, subject, der, state, code,
                     code_expires, etag, created, updated)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
        let (code, code_expires) = columns(row.code.as_ref());
        #[rustfmt::skip]
        let values = params![
            id_scope, row.name.folded(), row.name.as_str(), row.thumbprint.as_bytes(), row.subject,
            row.der, row.state.name(), code, code_expires, row.etag.as_str(), row.created,
            row.updated,
        ];
        self.write(Lock::Service { id_scope }, sql, values)?;
        Ok(self.connection.last_insert_rowid())
    }

    /// Writes every column of a CA certificate except its name in lower case. It was read with the
    /// etag `before`.
    pub fn update_ca_certificate(
        &self,
        id_scope: &str,
        before: &Etag,
        row: &CaCertificateRow,
    ) -> Result<(), StoreError> {
        self.bump_group_generation();
        let sql = "UPDATE ca_certificates
                   SET spelled = ?2, thumbprint = ?3, subject = ?4, der = ?5, state = ?6,
                       code = ?7, code_expires = ?8, etag = ?9, created = ?10, updated = ?11
                   WHERE id = ?1 AND etag = ?12";
        let (code, code_expires) = columns(row.code.as_ref());
        #[rustfmt::skip]
        let values = params![
            row.id, row.name.as_str(), row.thumbprint.as_bytes(), row.subject, row.der,
            row.state.name(), code, code_expires, row.etag.as_str(), row.created, row.updated,
            before.as_str(),
        ];
        self.write_version(Lock::Service { id_scope }, sql, values)
    }

    /// Deletes a CA certificate that no enrollment refers to.
    pub fn delete_ca_certificate(
        &self,
        id_scope: &str,
        row: &CaCertificateRow,
    ) -> Result<(), StoreError> {
        self.bump_group_generation();
        let sql = "DELETE FROM ca_certificates WHERE id = ?1 AND etag = ?2";
        let values = params![row.id, row.etag.as_str()];
        self.write_version(Lock::Service { id_scope }, sql, values)
    }

    /// Gives the enrollments that refer to a CA certificate a new version: what they admit
    /// has changed with it.
    pub fn touch_enrollments_of_ca_certificate(
        &self,
        id_scope: &str,
        ca_certificate: i64,
        etag: &Etag,
    ) -> Result<(), StoreError> {
        self.bump_group_generation();
        let sql = "UPDATE enrollments SET etag = ?2
                   WHERE id IN (SELECT enrollment FROM enrollment_ca_certificates WHERE
                   ca_certificate = ?1)";
        let values = params![ca_certificate, etag.as_str()];
        self.write(Lock::Service { id_scope }, sql, values)
            .map(drop)
    }
}

fn columns(code: Option<&VerificationCode>) -> (Option<&str>, Option<i64>) {
    code.map(|code| (code.text.as_str(), code.expires.ticks()))
        .unzip()
}
