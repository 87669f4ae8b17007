use rusqlite::{Row, params};

use crate::{RemoteTaskRow, StoreError, Tx, View};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, hub, device_id, kind, revision, tries, due, problem FROM remote_tasks ",
            $rest
        )
    };
}

fn read(row: &Row<'_>) -> rusqlite::Result<RemoteTaskRow> {
    Ok(RemoteTaskRow {
        id: row.get(0)?,
        hub: row.get(1)?,
        device_id: row.get(2)?,
        kind: row.get(3)?,
        revision: row.get(4)?,
        tries: row.get(5)?,
        due: row.get(6)?,
        problem: row.get(7)?,
    })
}

impl View<'_> {
    /// The errand of a device.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn remote_task(
        &self,
        hub: &str,
        device_id: &str,
    ) -> Result<Option<RemoteTaskRow>, StoreError> {
        let sql = select!("WHERE hub = ?1 AND device_id = ?2");
        self.one(sql, [hub, device_id], read)
    }

    /// Errands whose time has come, the longest due first; none at one of the hubs in `busy` (a JSON array).
    ///
    /// # Errors
    /// When the storage fails.
    pub fn remote_tasks_due(
        &self,
        now: i64,
        busy: &str,
        limit: usize,
    ) -> Result<Vec<RemoteTaskRow>, StoreError> {
        let sql = select!(
            "WHERE due <= ?1 AND hub NOT IN (SELECT value FROM json_each(?2)) ORDER BY due LIMIT ?3"
        );
        self.all(sql, params![now, busy, limit], read)
    }

    /// When the next errand is due after `now`.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn next_remote_task(&self, now: i64) -> Result<Option<i64>, StoreError> {
        let sql = "SELECT min(due) FROM remote_tasks WHERE due > ?1";
        Ok(self.one(sql, [now], |row| row.get(0))?.flatten())
    }

    /// How many errands wait at a hub.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn remote_tasks_at(&self, hub: &str) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM remote_tasks WHERE hub = ?1";
        let count: Option<i64> = self.one(sql, [hub], |row| row.get(0))?;
        Ok(count.and_then(|count| count.try_into().ok()).unwrap_or(0))
    }
}

impl Tx<'_> {
    /// Writes a device's errand over the one that it had.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn put_remote_task(
        &self,
        (hub, device_id): (&str, &str),
        kind: &str,
        due: i64,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO remote_tasks (hub, device_id, kind, revision, tries, due) VALUES (?1, ?2, ?3, 0, 0, ?4)
                   ON CONFLICT (hub, device_id) DO UPDATE SET kind = excluded.kind, revision = revision + 1, tries = 0,
                       due = excluded.due, problem = NULL";
        self.run(sql, params![hub, device_id, kind, due]).map(drop)
    }

    /// Puts an errand off, if it is still the one that was read.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn postpone_remote_task(
        &self,
        remote_task: &RemoteTaskRow,
        due: i64,
        problem: &str,
    ) -> Result<(), StoreError> {
        let sql =
            "UPDATE remote_tasks SET tries = tries + 1, due = ?3, problem = ?4, revision = revision + 1
                   WHERE id = ?1 AND revision = ?2";
        self.run(
            sql,
            params![remote_task.id, remote_task.revision, due, problem],
        )
        .map(drop)
    }

    /// Deletes an errand, if it is still the one that was read.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn end_remote_task(&self, remote_task: &RemoteTaskRow) -> Result<(), StoreError> {
        let sql = "DELETE FROM remote_tasks WHERE id = ?1 AND revision = ?2";
        self.run(sql, params![remote_task.id, remote_task.revision])
            .map(drop)
    }

    /// Forgets that a device was to be removed: it has come back to its place.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn cancel_removal(&self, hub: &str, device_id: &str) -> Result<(), StoreError> {
        let sql = "DELETE FROM remote_tasks WHERE hub = ?1 AND device_id = ?2 AND kind = 'remove'";
        self.run(sql, [hub, device_id]).map(drop)
    }
}
