use rusqlite::{Row, params};

use crate::{CaCertificateRow, Lock, StoreError, Tx, View};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT a.id, a.folded, a.spelled, a.thumbprint, a.subject, a.der, a.standing,
            a.code, a.code_expires,
                    a.etag, a.created, a.updated FROM ca_certificates AS a ",
            $rest
        )
    };
}

pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<CaCertificateRow> {
    Ok(CaCertificateRow {
        id: row.get(0)?,
        folded: row.get(1)?,
        spelled: row.get(2)?,
        thumbprint: row.get(3)?,
        subject: row.get(4)?,
        der: row.get(5)?,
        standing: row.get(6)?,
        code: row.get(7)?,
        code_expires: row.get(8)?,
        etag: row.get(9)?,
        created: row.get(10)?,
        updated: row.get(11)?,
    })
}

impl View<'_> {
    /// The CA certificate of this folded name, withdrawn ones too.
    pub fn ca_certificate(
        &self,
        id_scope: &str,
        folded: &str,
    ) -> Result<Option<CaCertificateRow>, StoreError> {
        self.one(
            select!("WHERE a.id_scope = ?1 AND a.folded = ?2"),
            [id_scope, folded],
            read,
        )
    }

    /// The CA certificates of a service by name, without those withdrawn.
    pub fn ca_certificates(&self, id_scope: &str) -> Result<Vec<CaCertificateRow>, StoreError> {
        self.all(
            select!("WHERE a.id_scope = ?1 AND a.standing <> 'withdrawn' ORDER BY a.folded"),
            [id_scope],
            read,
        )
    }

    /// The CA certificate with this thumbprint, if it is not withdrawn.
    pub fn ca_certificate_of_certificate(
        &self,
        id_scope: &str,
        thumbprint: &[u8; 32],
    ) -> Result<Option<CaCertificateRow>, StoreError> {
        self.one(
            select!("WHERE a.id_scope = ?1 AND a.thumbprint = ?2 AND a.standing <> 'withdrawn'"),
            params![id_scope, thumbprint],
            read,
        )
    }

    /// Kind and spelled id of the enrollments that refer to a CA certificate, groups first.
    pub fn enrollments_of_ca_certificate(
        &self,
        ca_certificate: i64,
        limit: usize,
    ) -> Result<Vec<(String, String)>, StoreError> {
        let sql = "SELECT DISTINCT e.kind, e.spelled FROM enrollment_ca_certificates AS r
                   JOIN enrollments AS e ON e.id = r.enrollment WHERE r.ca_certificate = ?1
                   ORDER BY e.kind, e.folded LIMIT ?2";
        self.all(sql, params![ca_certificate, limit], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
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
                     (id_scope, folded, spelled, thumbprint, subject, der, standing, code,
                     code_expires, etag, created, updated)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
        #[rustfmt::skip]
        let values = params![
            id_scope, row.folded, row.spelled, row.thumbprint, row.subject, row.der, row.standing,
            row.code, row.code_expires, row.etag, row.created, row.updated,
        ];
        self.write(Lock::Service { id_scope }, sql, values)?;
        Ok(self.connection.last_insert_rowid())
    }

    /// Writes every column of a CA certificate except its folded name. It was read with the etag
    /// `before`.
    pub fn update_ca_certificate(
        &self,
        id_scope: &str,
        before: &str,
        row: &CaCertificateRow,
    ) -> Result<(), StoreError> {
        self.bump_group_generation();
        let sql = "UPDATE ca_certificates
                   SET spelled = ?2, thumbprint = ?3, subject = ?4, der = ?5, standing = ?6, code
                   = ?7, code_expires = ?8,
                       etag = ?9, created = ?10, updated = ?11
                   WHERE id = ?1 AND etag = ?12";
        #[rustfmt::skip]
        let values = params![
            row.id, row.spelled, row.thumbprint, row.subject, row.der, row.standing, row.code,
            row.code_expires, row.etag, row.created, row.updated, before,
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
        self.write_version(Lock::Service { id_scope }, sql, params![row.id, row.etag])
    }

    /// Gives the enrollments that refer to a CA certificate a new version: what they admit
    /// has changed with it.
    pub fn touch_enrollments_of_ca_certificate(
        &self,
        id_scope: &str,
        ca_certificate: i64,
        etag: &str,
    ) -> Result<(), StoreError> {
        self.bump_group_generation();
        let sql = "UPDATE enrollments SET etag = ?2
                   WHERE id IN (SELECT enrollment FROM enrollment_ca_certificates WHERE
                   ca_certificate = ?1)";
        let values = params![ca_certificate, etag];
        self.write(Lock::Service { id_scope }, sql, values)
            .map(drop)
    }
}
