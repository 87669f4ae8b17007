use rusqlite::{Row, params};

use crate::{Lock, PendingRow, StoreError, Tx, View};

fn read(row: &Row<'_>) -> rusqlite::Result<PendingRow> {
    Ok(PendingRow {
        id: row.get(0)?,
        id_scope: row.get(1)?,
        folded: row.get(2)?,
        revision: row.get(3)?,
        destination: row.get(4)?,
        due: row.get(5)?,
        document: row.get(6)?,
    })
}

impl View<'_> {
    /// The pending registration of a folded id.
    pub fn pending(&self, id_scope: &str, folded: &str) -> Result<Option<PendingRow>, StoreError> {
        let sql = "SELECT id, id_scope, folded, revision, destination, due, document
                   FROM pending_registrations WHERE id_scope = ?1 AND folded = ?2";
        self.one(sql, [id_scope, folded], read)
    }

    /// Registrations whose time has come, of all services, the longest due first. None that asks
    /// one of the `busy` destinations, or is of one of the `busy` services; both are JSON arrays.
    pub fn pending_due(
        &self,
        now: i64,
        (destinations, services): (&str, &str),
        limit: usize,
    ) -> Result<Vec<PendingRow>, StoreError> {
        let sql = "SELECT id, id_scope, folded, revision, destination, due, document
                   FROM pending_registrations
                   WHERE due <= ?1 AND destination NOT IN (SELECT value FROM json_each(?2))
                       AND id_scope NOT IN (SELECT value FROM json_each(?3))
                   ORDER BY due LIMIT ?4";
        self.all(sql, params![now, destinations, services, limit], read)
    }

    /// When the next registration is due after `now`.
    pub fn next_pending(&self, now: i64) -> Result<Option<i64>, StoreError> {
        let sql = "SELECT min(due) FROM pending_registrations WHERE due > ?1";
        Ok(self.one(sql, [now], |row| row.get(0))?.flatten())
    }
}

impl Tx<'_> {
    /// Adds a pending registration; there must be none of its id.
    pub fn insert_pending(&self, row: &PendingRow) -> Result<(), StoreError> {
        let sql = "INSERT INTO pending_registrations (id_scope, folded, revision, destination,
                   due, document)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        #[rustfmt::skip]
        let values = params![row.id_scope, row.folded, row.revision, row.destination, row.due,
            row.document];
        self.write(lock(row), sql, values).map(drop)
    }

    /// Writes a pending registration, by its row id, over the revision before.
    pub fn update_pending(&self, row: &PendingRow) -> Result<(), StoreError> {
        let sql = "UPDATE pending_registrations SET revision = ?2, destination = ?3, due = ?4,
                   document = ?5
                   WHERE id = ?1 AND revision = ?2 - 1";
        let values = params![row.id, row.revision, row.destination, row.due, row.document];
        self.write_version(lock(row), sql, values)
    }

    /// Deletes a pending registration that has ended.
    pub fn delete_pending(&self, id_scope: &str, folded: &str) -> Result<(), StoreError> {
        let sql = "DELETE FROM pending_registrations WHERE id_scope = ?1 AND folded = ?2";
        self.write(
            Lock::Registration { id_scope, folded },
            sql,
            [id_scope, folded],
        )
        .map(drop)
    }
}

fn lock(row: &PendingRow) -> Lock<'_> {
    Lock::Registration {
        id_scope: &row.id_scope,
        folded: &row.folded,
    }
}
