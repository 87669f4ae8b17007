use ids::{Etag, IssuerName};
use rusqlite::{Row, params};

use crate::sqlite::{decode, enrollments};
use crate::{EnrollmentKey, IssuerRow, Lock, StoreError, Tx, View};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, spelled, thumbprint, document, etag, created, updated FROM issuers ",
            $rest
        )
    };
}

fn read(row: &Row<'_>) -> rusqlite::Result<IssuerRow> {
    Ok(IssuerRow {
        id: row.get(0)?,
        name: decode::id(row, 1, "issuer")?,
        thumbprint: decode::thumbprint(row, 2)?,
        document: row.get(3)?,
        etag: decode::id(row, 4, "etag")?,
        created: row.get(5)?,
        updated: row.get(6)?,
    })
}

impl View<'_> {
    pub fn issuer(
        &self,
        id_scope: &str,
        name: &IssuerName,
    ) -> Result<Option<IssuerRow>, StoreError> {
        let sql = select!("WHERE id_scope = ?1 AND folded = ?2");
        self.one(sql, [id_scope, &name.folded()], read)
    }

    /// The row id and the version of an issuer.
    pub fn issuer_version(
        &self,
        id_scope: &str,
        name: &IssuerName,
    ) -> Result<Option<(i64, Etag)>, StoreError> {
        let sql = "SELECT id, etag FROM issuers WHERE id_scope = ?1 AND folded = ?2";
        self.one(sql, [id_scope, &name.folded()], |row| {
            Ok((row.get(0)?, decode::id(row, 1, "etag")?))
        })
    }

    /// The issuers of all services.
    pub fn all_issuers(&self) -> Result<Vec<IssuerRow>, StoreError> {
        self.all(select!("ORDER BY id"), [], read)
    }

    pub fn issuers(&self, id_scope: &str) -> Result<Vec<IssuerRow>, StoreError> {
        let sql = select!("WHERE id_scope = ?1 ORDER BY folded");
        self.all(sql, [id_scope], read)
    }

    /// The enrollments that name an issuer, at most `limit`.
    pub fn enrollments_of_issuer(
        &self,
        issuer: i64,
        limit: usize,
    ) -> Result<Vec<EnrollmentKey>, StoreError> {
        let sql = "SELECT kind, spelled FROM enrollments
                   WHERE issuer = ?1 ORDER BY kind, folded LIMIT ?2";
        self.all(sql, params![issuer, limit], enrollments::key)
    }
}

impl Tx<'_> {
    pub fn insert_issuer(&self, id_scope: &str, row: &IssuerRow) -> Result<(), StoreError> {
        let sql = "INSERT INTO issuers
                     (id_scope, folded, spelled, thumbprint, document, etag, created, updated)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        #[rustfmt::skip]
        let values = params![
            id_scope, row.name.folded(), row.name.as_str(), row.thumbprint.as_bytes(),
            row.document, row.etag.as_str(), row.created, row.updated,
        ];
        self.write(Lock::Service { id_scope }, sql, values)
            .map(drop)
    }

    /// Writes the document of an issuer that was read with the etag `before`.
    pub fn update_issuer(
        &self,
        id_scope: &str,
        before: &Etag,
        row: &IssuerRow,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE issuers SET thumbprint = ?3, document = ?4, etag = ?5, updated = ?6
                   WHERE id = ?1 AND etag = ?2";
        #[rustfmt::skip]
        let values = params![
            row.id, before.as_str(), row.thumbprint.as_bytes(), row.document,
            row.etag.as_str(), row.updated,
        ];
        self.write_version(Lock::Service { id_scope }, sql, values)
    }

    /// Deletes an issuer that no enrollment names.
    pub fn delete_issuer(&self, id_scope: &str, row: &IssuerRow) -> Result<(), StoreError> {
        let sql = "DELETE FROM issuers WHERE id = ?1 AND etag = ?2";
        let values = params![row.id, row.etag.as_str()];
        self.write_version(Lock::Service { id_scope }, sql, values)
    }
}
