use ids::Identity;
use rusqlite::params;

use crate::{Lock, StoreError, Tx, View};

impl View<'_> {
    /// Events of a hub that wait to be appended to its log, the oldest first: row id and record.
    pub fn hub_events(&self, hub: &str, limit: usize) -> Result<Vec<(i64, Vec<u8>)>, StoreError> {
        let sql = "SELECT id, record FROM hub_events WHERE hub = ?1 ORDER BY id LIMIT ?2";
        self.all(sql, params![hub, limit], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
    }
}

impl Tx<'_> {
    /// Enters an event about a device or module.
    pub fn insert_hub_event(&self, about: &Identity, record: &[u8]) -> Result<(), StoreError> {
        let (hub, device_id) = (about.hub.as_str(), about.device.as_str());
        let sql = "INSERT INTO hub_events (hub, record) VALUES (?1, ?2)";
        self.write(Lock::Device { hub, device_id }, sql, params![hub, record])
            .map(drop)
    }

    /// Deletes the events of a hub up to a row.
    pub fn delete_hub_events(&self, hub: &str, last: i64) -> Result<(), StoreError> {
        let sql = "DELETE FROM hub_events WHERE hub = ?1 AND id <= ?2";
        self.write(Lock::Hub { hub }, sql, params![hub, last])
            .map(drop)
    }
}
