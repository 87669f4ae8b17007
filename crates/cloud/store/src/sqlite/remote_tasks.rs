use ids::{DeviceId, HubName};
use rusqlite::{Row, params};

use crate::sqlite::connection::json_array;
use crate::sqlite::decode;
use crate::{DeviceLocation, Lock, RemoteTaskKind, RemoteTaskRow, StoreError, Tx, View};

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
        hub: decode::id(row, 1, "hub")?,
        device_id: decode::id(row, 2, "device id")?,
        kind: decode::named(row, 3, "remote task", RemoteTaskKind::named)?,
        revision: row.get(4)?,
        tries: row.get(5)?,
        due: row.get(6)?,
        problem: row.get(7)?,
    })
}

impl View<'_> {
    pub fn remote_task(
        &self,
        hub: &HubName,
        device_id: &DeviceId,
    ) -> Result<Option<RemoteTaskRow>, StoreError> {
        let sql = select!("WHERE hub = ?1 AND device_id = ?2");
        self.one(sql, [hub.as_str(), device_id.as_str()], read)
    }

    /// Tasks whose time has come, the longest due first; none at a hub that is busy.
    pub fn remote_tasks_due(
        &self,
        now: i64,
        busy: &[HubName],
        limit: usize,
    ) -> Result<Vec<RemoteTaskRow>, StoreError> {
        let sql = select!(
            "WHERE due <= ?1 AND hub NOT IN (SELECT value FROM json_each(?2)) ORDER BY due LIMIT ?3"
        );
        let busy = json_array(busy.iter().map(HubName::as_str));
        self.all(sql, params![now, busy, limit], read)
    }

    /// When the next task is due after `now`.
    pub fn next_remote_task(&self, now: i64) -> Result<Option<i64>, StoreError> {
        let sql = "SELECT min(due) FROM remote_tasks WHERE due > ?1";
        Ok(self.one(sql, [now], |row| row.get(0))?.flatten())
    }

    /// How many tasks wait at a hub.
    pub fn remote_tasks_at(&self, hub: &HubName) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM remote_tasks WHERE hub = ?1";
        self.count(sql, [hub.as_str()])
    }
}

impl Tx<'_> {
    /// Writes a device's task over the one that it had.
    pub fn put_remote_task(
        &self,
        device: &DeviceLocation,
        kind: RemoteTaskKind,
        due: i64,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO remote_tasks (hub, device_id, kind, revision, tries, due)
                   VALUES (?1, ?2, ?3, 0, 0, ?4)
                   ON CONFLICT (hub, device_id) DO UPDATE SET kind = excluded.kind,
                       revision = remote_tasks.revision + 1, tries = 0, due = excluded.due,
                       problem = NULL";
        let (hub, device_id) = (device.hub.as_str(), device.device_id.as_str());
        let values = params![hub, device_id, kind.name(), due];
        self.write(Lock::Device { hub, device_id }, sql, values)
            .map(drop)
    }

    /// Puts a task off after a try that failed.
    pub fn postpone_remote_task(
        &self,
        task: &RemoteTaskRow,
        due: i64,
        problem: &str,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE remote_tasks
                   SET tries = tries + 1, due = ?3, problem = ?4, revision = revision + 1
                   WHERE id = ?1 AND revision = ?2";
        let values = params![task.id, task.revision, due, problem];
        self.write_version(lock(task), sql, values)
    }

    /// Deletes a task that is done.
    pub fn end_remote_task(&self, task: &RemoteTaskRow) -> Result<(), StoreError> {
        let sql = "DELETE FROM remote_tasks WHERE id = ?1 AND revision = ?2";
        self.write_version(lock(task), sql, params![task.id, task.revision])
    }

    /// Deletes the task that removes a device: the device is assigned to its place again.
    pub fn cancel_removal(&self, device: &DeviceLocation) -> Result<(), StoreError> {
        let (hub, device_id) = (device.hub.as_str(), device.device_id.as_str());
        let sql = "DELETE FROM remote_tasks WHERE hub = ?1 AND device_id = ?2 AND kind = 'remove'";
        self.write(Lock::Device { hub, device_id }, sql, [hub, device_id])
            .map(drop)
    }
}

fn lock(task: &RemoteTaskRow) -> Lock<'_> {
    Lock::Device {
        hub: task.hub.as_str(),
        device_id: task.device_id.as_str(),
    }
}
