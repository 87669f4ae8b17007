use ids::HubName;
use rusqlite::{Row, params};

use crate::rows::{NotificationKind, NotificationRow};
use crate::sqlite::decode;
use crate::{Lock, StoreError, Tx, View};

fn read(row: &Row<'_>) -> rusqlite::Result<NotificationRow> {
    Ok(NotificationRow {
        id: row.get(0)?,
        revision: row.get(1)?,
        record: row.get(2)?,
        created: row.get(3)?,
        deliveries: row.get(4)?,
    })
}

impl View<'_> {
    /// The oldest notifications of a hub that nobody has, created after `since`.
    pub fn notifications(
        &self,
        (hub, kind): (&str, NotificationKind),
        (since, now): (i64, i64),
        limit: usize,
    ) -> Result<Vec<NotificationRow>, StoreError> {
        let sql = "SELECT id, revision, record, created, deliveries FROM notifications
                   WHERE hub = ?1 AND kind = ?2 AND created > ?3
                       AND (locked_until IS NULL OR locked_until <= ?4)
                   ORDER BY id LIMIT ?5";
        self.all(sql, params![hub, kind.name(), since, now, limit], read)
    }

    /// The notifications that a receiver has by this lock token.
    pub fn locked_notifications(
        &self,
        (hub, kind): (&str, NotificationKind),
        token: &str,
        now: i64,
    ) -> Result<Vec<NotificationRow>, StoreError> {
        let sql = "SELECT id, revision, record, created, deliveries FROM notifications
                   WHERE hub = ?1 AND kind = ?2 AND lock_token = ?3 AND locked_until > ?4
                   ORDER BY id";
        self.all(sql, params![hub, kind.name(), token, now], read)
    }

    /// Hubs with notifications that were created at `since` or before. A name that cannot be read
    /// keeps its place.
    pub fn hubs_of_old_notifications(
        &self,
        since: i64,
    ) -> Result<Vec<Result<HubName, StoreError>>, StoreError> {
        let sql = "SELECT DISTINCT hub FROM notifications WHERE created <= ?1";
        self.all(sql, [since], |row| {
            let hub = decode::id(row, 0, "hub");
            Ok(hub.map_err(|error| StoreError::sql("reading", self.file, error)))
        })
    }
}

impl Tx<'_> {
    pub fn insert_notification(
        &self,
        (hub, kind): (&str, NotificationKind),
        record: &str,
        created: i64,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO notifications (hub, kind, revision, record, created, deliveries)
                   VALUES (?1, ?2, 1, ?3, ?4, 0)";
        let values = params![hub, kind.name(), record, created];
        self.write(Lock::Notifications { hub }, sql, values)
            .map(drop)
    }

    /// Gives a notification to a receiver.
    pub fn lock_notification(
        &self,
        hub: &str,
        row: &NotificationRow,
        (token, until): (&str, i64),
    ) -> Result<(), StoreError> {
        let sql = "UPDATE notifications SET lock_token = ?3, locked_until = ?4,
                       revision = revision + 1
                   WHERE id = ?1 AND revision = ?2";
        let values = params![row.id, row.revision, token, until];
        self.write_version(Lock::Notifications { hub }, sql, values)
    }

    /// Lets other receivers have a notification.
    pub fn release_notification(&self, hub: &str, row: &NotificationRow) -> Result<(), StoreError> {
        let sql = "UPDATE notifications SET lock_token = NULL, locked_until = NULL,
                       deliveries = deliveries + 1, revision = revision + 1
                   WHERE id = ?1 AND revision = ?2";
        let values = params![row.id, row.revision];
        self.write_version(Lock::Notifications { hub }, sql, values)
    }

    pub fn delete_notification(&self, hub: &str, row: &NotificationRow) -> Result<(), StoreError> {
        let sql = "DELETE FROM notifications WHERE id = ?1 AND revision = ?2";
        let values = params![row.id, row.revision];
        self.write_version(Lock::Notifications { hub }, sql, values)
    }

    /// Deletes notifications of a hub that were created at `since` or before; how many there were.
    pub fn delete_old_notifications(&self, hub: &str, since: i64) -> Result<usize, StoreError> {
        let sql = "DELETE FROM notifications WHERE hub = ?1 AND created <= ?2";
        self.write(Lock::Notifications { hub }, sql, params![hub, since])
    }
}
