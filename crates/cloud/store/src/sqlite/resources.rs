use rusqlite::{Row, params};

use crate::{ResourceRow, StoreError, Tx, View};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, kind, folded, spelled, thumbprint, document, etag, created, updated FROM device_resources ",
            $rest
        )
    };
}

fn read(row: &Row<'_>) -> rusqlite::Result<ResourceRow> {
    Ok(ResourceRow {
        id: row.get(0)?,
        kind: row.get(1)?,
        folded: row.get(2)?,
        spelled: row.get(3)?,
        thumbprint: row.get(4)?,
        document: row.get(5)?,
        etag: row.get(6)?,
        created: row.get(7)?,
        updated: row.get(8)?,
    })
}

impl View<'_> {
    /// The resource of this kind and folded name.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn resource(
        &self,
        id_scope: &str,
        kind: &str,
        folded: &str,
    ) -> Result<Option<ResourceRow>, StoreError> {
        self.one(
            select!("WHERE id_scope = ?1 AND kind = ?2 AND folded = ?3"),
            [id_scope, kind, folded],
            read,
        )
    }

    /// The resources of a kind by name.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn resources(&self, id_scope: &str, kind: &str) -> Result<Vec<ResourceRow>, StoreError> {
        self.all(
            select!("WHERE id_scope = ?1 AND kind = ?2 ORDER BY folded"),
            [id_scope, kind],
            read,
        )
    }

    /// Whether an issuer of any service has this certificate.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn has_issuer_of_certificate(&self, thumbprint: &[u8; 32]) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM device_resources WHERE thumbprint = ?1 LIMIT 1";
        Ok(self.one(sql, [thumbprint], |_| Ok(()))?.is_some())
    }

    /// Kind and spelling of the entries that name a resource, at most `limit`.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn entries_of_resource(
        &self,
        resource: i64,
        limit: usize,
    ) -> Result<Vec<(String, String)>, StoreError> {
        let sql = "SELECT e.kind, e.spelled FROM enrollment_resources AS r JOIN enrollments AS e ON e.id = r.enrollment
                   WHERE r.resource = ?1 ORDER BY e.kind, e.folded LIMIT ?2";
        self.all(sql, params![resource, limit], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
    }
}

impl Tx<'_> {
    /// Adds a resource; returns its row id.
    ///
    /// # Errors
    /// When the storage fails, or the name is taken.
    pub fn insert_resource(&self, id_scope: &str, row: &ResourceRow) -> Result<i64, StoreError> {
        let sql = "INSERT INTO device_resources (id_scope, kind, folded, spelled, thumbprint, document, etag, created, updated)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        #[rustfmt::skip]
        let values = params![
            id_scope, row.kind, row.folded, row.spelled, row.thumbprint, row.document, row.etag, row.created, row.updated,
        ];
        self.run(sql, values)?;
        Ok(self.connection.last_insert_rowid())
    }

    /// Writes the document of a resource.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn update_resource(&self, row: &ResourceRow) -> Result<(), StoreError> {
        let sql =
            "UPDATE device_resources SET document = ?2, etag = ?3, updated = ?4 WHERE id = ?1";
        self.run(sql, params![row.id, row.document, row.etag, row.updated])
            .map(drop)
    }

    /// Deletes a resource that no entry names.
    ///
    /// # Errors
    /// When the storage fails, or an entry names it.
    pub fn delete_resource(&self, id: i64) -> Result<(), StoreError> {
        self.run("DELETE FROM device_resources WHERE id = ?1", [id])
            .map(drop)
    }

    /// Writes which resources an entry names, over those it named before.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn replace_resources(&self, enrollment: i64, resources: &[i64]) -> Result<(), StoreError> {
        let sql = "DELETE FROM enrollment_resources WHERE enrollment = ?1";
        self.run(sql, [enrollment])?;
        for resource in resources {
            let sql = "INSERT INTO enrollment_resources (enrollment, resource) VALUES (?1, ?2)";
            self.run(sql, [enrollment, *resource])?;
        }
        Ok(())
    }
}
