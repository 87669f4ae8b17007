use ids::{IdScope, RegistrationId};
use rusqlite::{Row, params};

use crate::sqlite::connection::json_array;
use crate::sqlite::decode;
use crate::{Lock, PendingDue, PendingRow, StoreError, Tx, View};

fn read(row: &Row<'_>) -> rusqlite::Result<PendingRow> {
    Ok(PendingRow {
        id: row.get(0)?,
        id_scope: decode::id(row, 1, "ID scope")?,
        registration_id: decode::id(row, 2, "registration id")?,
        revision: row.get(3)?,
        destination: row.get(4)?,
        due: row.get(5)?,
        document: row.get(6)?,
    })
}

impl View<'_> {
    pub fn pending(
        &self,
        id_scope: &str,
        id: &RegistrationId,
    ) -> Result<Option<PendingRow>, StoreError> {
        let sql = "SELECT id, id_scope, folded, revision, destination, due, document
                   FROM pending_registrations WHERE id_scope = ?1 AND folded = ?2";
        self.one(sql, [id_scope, id.folded()], read)
    }

    /// Registrations whose time has come, of all services, the longest due first. None that asks
    /// one of the busy destinations, or is of one of the busy services.
    pub fn pending_due(
        &self,
        now: i64,
        (destinations, services): (&[String], &[IdScope]),
        limit: usize,
    ) -> Result<PendingDue, StoreError> {
        let sql = "SELECT id, id_scope, folded, revision, destination, due, document
                   FROM pending_registrations
                   WHERE due <= ?1 AND destination NOT IN (SELECT value FROM json_each(?2))
                       AND id_scope NOT IN (SELECT value FROM json_each(?3))
                   ORDER BY due LIMIT ?4";
        let destinations = json_array(destinations.iter().map(String::as_str));
        let services = json_array(services.iter().map(IdScope::as_str));
        let values = params![now, destinations, services, limit];
        let read = |row: &Row<'_>| Ok((row.get(0)?, read(row)));
        let mut due = PendingDue::default();
        for (id, row) in self.all(sql, values, read)? {
            match row {
                Ok(row) => due.rows.push(row),
                Err(error) => {
                    let error = StoreError::sql("reading", self.file, error);
                    due.unreadable.push((id, error));
                }
            }
        }
        Ok(due)
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
        let values = params![
            row.id_scope.as_str(), row.registration_id.folded(), row.revision, row.destination,
            row.due, row.document,
        ];
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
    pub fn delete_pending(&self, id_scope: &str, id: &RegistrationId) -> Result<(), StoreError> {
        let folded = id.folded();
        let sql = "DELETE FROM pending_registrations WHERE id_scope = ?1 AND folded = ?2";
        let lock = Lock::Registration { id_scope, folded };
        self.write(lock, sql, [id_scope, folded]).map(drop)
    }

    /// Deletes a row that does not say whose it is.
    pub fn delete_unreadable_pending(&self, id: i64) -> Result<(), StoreError> {
        let sql = "DELETE FROM pending_registrations WHERE id = ?1";
        self.write(Lock::Directory, sql, [id]).map(drop)
    }
}

fn lock(row: &PendingRow) -> Lock<'_> {
    Lock::Registration {
        id_scope: row.id_scope.as_str(),
        folded: row.registration_id.folded(),
    }
}
