use rusqlite::{Row, params};

use crate::{Lock, StoreError, TrustBundleRow, Tx, View};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, folded, spelled, document, etag, created, updated FROM trust_bundles ",
            $rest
        )
    };
}

fn read(row: &Row<'_>) -> rusqlite::Result<TrustBundleRow> {
    Ok(TrustBundleRow {
        id: row.get(0)?,
        folded: row.get(1)?,
        spelled: row.get(2)?,
        document: row.get(3)?,
        etag: row.get(4)?,
        created: row.get(5)?,
        updated: row.get(6)?,
    })
}

impl View<'_> {
    pub fn trust_bundle(
        &self,
        id_scope: &str,
        folded: &str,
    ) -> Result<Option<TrustBundleRow>, StoreError> {
        let sql = select!("WHERE id_scope = ?1 AND folded = ?2");
        self.one(sql, [id_scope, folded], read)
    }

    pub fn trust_bundles(&self, id_scope: &str) -> Result<Vec<TrustBundleRow>, StoreError> {
        let sql = select!("WHERE id_scope = ?1 ORDER BY folded");
        self.all(sql, [id_scope], read)
    }

    /// Kind and spelling of the enrollments that name a trust bundle, at most `limit`.
    pub fn enrollments_of_trust_bundle(
        &self,
        trust_bundle: i64,
        limit: usize,
    ) -> Result<Vec<(String, String)>, StoreError> {
        let sql = "SELECT kind, spelled FROM enrollments
                   WHERE trust_bundle = ?1 ORDER BY kind, folded LIMIT ?2";
        let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
        self.all(sql, params![trust_bundle, limit], read)
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
            id_scope, row.folded, row.spelled, row.document, row.etag, row.created, row.updated,
        ];
        self.write(Lock::Service { id_scope }, sql, values)
            .map(drop)
    }

    /// Writes the document of a trust bundle that was read with the etag `before`.
    pub fn update_trust_bundle(
        &self,
        id_scope: &str,
        before: &str,
        row: &TrustBundleRow,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE trust_bundles SET document = ?3, etag = ?4, updated = ?5
                   WHERE id = ?1 AND etag = ?2";
        let values = params![row.id, before, row.document, row.etag, row.updated];
        self.write_version(Lock::Service { id_scope }, sql, values)
    }

    /// Deletes a trust bundle that no enrollment names.
    pub fn delete_trust_bundle(
        &self,
        id_scope: &str,
        row: &TrustBundleRow,
    ) -> Result<(), StoreError> {
        let sql = "DELETE FROM trust_bundles WHERE id = ?1 AND etag = ?2";
        self.write_version(Lock::Service { id_scope }, sql, params![row.id, row.etag])
    }
}
