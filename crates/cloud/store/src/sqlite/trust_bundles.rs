use ids::{Etag, TrustBundleId};
use rusqlite::{Row, params};

use crate::sqlite::{decode, enrollments};
use crate::{EnrollmentKey, Lock, StoreError, TrustBundleRow, Tx, View};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, spelled, document, etag, created, updated FROM trust_bundles ",
            $rest
        )
    };
}

fn read(row: &Row<'_>) -> rusqlite::Result<TrustBundleRow> {
    Ok(TrustBundleRow {
        id: row.get(0)?,
        trust_bundle_id: decode::id(row, 1, "trust bundle")?,
        document: row.get(2)?,
        etag: decode::id(row, 3, "etag")?,
        created: row.get(4)?,
        updated: row.get(5)?,
    })
}

impl View<'_> {
    pub fn trust_bundle(
        &self,
        id_scope: &str,
        id: &TrustBundleId,
    ) -> Result<Option<TrustBundleRow>, StoreError> {
        let sql = select!("WHERE id_scope = ?1 AND folded = ?2");
        self.one(sql, [id_scope, &id.folded()], read)
    }

    pub fn trust_bundles(&self, id_scope: &str) -> Result<Vec<TrustBundleRow>, StoreError> {
        let sql = select!("WHERE id_scope = ?1 ORDER BY folded");
        self.all(sql, [id_scope], read)
    }

    pub fn trust_bundle_count(&self, id_scope: &str) -> Result<usize, StoreError> {
        let sql = "SELECT count(*) FROM trust_bundles WHERE id_scope = ?1";
        self.count(sql, [id_scope])
    }

    /// The enrollments that name a trust bundle, at most `limit`.
    pub fn enrollments_of_trust_bundle(
        &self,
        trust_bundle: i64,
        limit: usize,
    ) -> Result<Vec<EnrollmentKey>, StoreError> {
        let sql = "SELECT kind, spelled FROM enrollments
                   WHERE trust_bundle = ?1 ORDER BY kind, folded LIMIT ?2";
        self.all(sql, params![trust_bundle, limit], enrollments::key)
    }
}

impl Tx<'_> {
    pub fn insert_trust_bundle(
        &self,
        id_scope: &str,
        row: &TrustBundleRow,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO trust_bundles
                     (id_scope, folded, spelled, document, etag, created, updated)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        #[rustfmt::skip]
        let values = params![
            id_scope, row.trust_bundle_id.folded(), row.trust_bundle_id.as_str(), row.document,
            row.etag.as_str(), row.created, row.updated,
        ];
        self.write(Lock::Service { id_scope }, sql, values)
            .map(drop)
    }

    /// Writes the document of a trust bundle that was read with the etag `before`.
    pub fn update_trust_bundle(
        &self,
        id_scope: &str,
        before: &Etag,
        row: &TrustBundleRow,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE trust_bundles SET document = ?3, etag = ?4, updated = ?5
                   WHERE id = ?1 AND etag = ?2";
        #[rustfmt::skip]
        let values = params![
            row.id, before.as_str(), row.document, row.etag.as_str(), row.updated,
        ];
        self.write_version(Lock::Service { id_scope }, sql, values)
    }

    /// Deletes a trust bundle that no enrollment names.
    pub fn delete_trust_bundle(
        &self,
        id_scope: &str,
        row: &TrustBundleRow,
    ) -> Result<(), StoreError> {
        let sql = "DELETE FROM trust_bundles WHERE id = ?1 AND etag = ?2";
        let values = params![row.id, row.etag.as_str()];
        self.write_version(Lock::Service { id_scope }, sql, values)
    }
}
