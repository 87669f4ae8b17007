use rusqlite::{Row, params};

use crate::{IssuerRow, Lock, StoreError, Tx, View};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, folded, spelled, thumbprint, document, etag, created, updated
             FROM issuers ",
            $rest
        )
    };
}

fn read(row: &Row<'_>) -> rusqlite::Result<IssuerRow> {
    Ok(IssuerRow {
        id: row.get(0)?,
        folded: row.get(1)?,
        spelled: row.get(2)?,
        thumbprint: row.get(3)?,
        document: row.get(4)?,
        etag: row.get(5)?,
        created: row.get(6)?,
        updated: row.get(7)?,
    })
}

impl View<'_> {
    pub fn issuer(&self, id_scope: &str, folded: &str) -> Result<Option<IssuerRow>, StoreError> {
        let sql = select!("WHERE id_scope = ?1 AND folded = ?2");
        self.one(sql, [id_scope, folded], read)
    }

    pub fn issuers(&self, id_scope: &str) -> Result<Vec<IssuerRow>, StoreError> {
        let sql = select!("WHERE id_scope = ?1 ORDER BY folded");
        self.all(sql, [id_scope], read)
    }

    /// Whether an issuer of any service has this certificate.
    pub fn has_issuer_of_certificate(&self, thumbprint: &[u8; 32]) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM issuers WHERE thumbprint = ?1 LIMIT 1";
        Ok(self.one(sql, [thumbprint], |_| Ok(()))?.is_some())
    }

    /// Kind and spelling of the enrollments that name an issuer, at most `limit`.
    pub fn enrollments_of_issuer(
        &self,
        issuer: i64,
        limit: usize,
    ) -> Result<Vec<(String, String)>, StoreError> {
        let sql = "SELECT kind, spelled FROM enrollments
                   WHERE issuer = ?1 ORDER BY kind, folded LIMIT ?2";
        let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
        self.all(sql, params![issuer, limit], read)
    }
}

impl Tx<'_> {
    pub fn insert_issuer(&self, id_scope: &str, row: &IssuerRow) -> Result<(), StoreError> {
        let sql = "INSERT INTO issuers
                     (id_scope, folded, spelled, thumbprint, document, etag, created, updated)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        #[rustfmt::skip]
        let values = params![
            id_scope, row.folded, row.spelled, row.thumbprint, row.document, row.etag,
            row.created, row.updated,
        ];
        self.write(Lock::Service { id_scope }, sql, values)
            .map(drop)
    }

    /// Deletes an issuer that no enrollment names.
    pub fn delete_issuer(&self, id_scope: &str, row: &IssuerRow) -> Result<(), StoreError> {
        let sql = "DELETE FROM issuers WHERE id = ?1 AND etag = ?2";
        self.write_version(Lock::Service { id_scope }, sql, params![row.id, row.etag])
    }
}
