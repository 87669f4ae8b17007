use ids::HubName;
use rusqlite::{Row, params};

use crate::sqlite::decode;
use crate::{HubRow, Lock, RemoteAccessRow, Secret, StoreError, Tx, View};

pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<HubRow> {
    let (policy, key): (Option<String>, Option<Secret>) = (row.get(2)?, row.get(3)?);
    Ok(HubRow {
        name: decode::id(row, 0, "hub")?,
        host: decode::id(row, 1, "hub host")?,
        remote: policy
            .zip(key)
            .map(|(policy, key)| RemoteAccessRow { policy, key }),
    })
}

fn remote_columns(hub: &HubRow) -> (Option<&str>, Option<&Secret>) {
    let remote = hub.remote.as_ref();
    remote.map(|remote| (&*remote.policy, &remote.key)).unzip()
}

impl View<'_> {
    /// Every hub, in the order in which they came.
    pub fn hubs(&self) -> Result<Vec<HubRow>, StoreError> {
        let sql = "SELECT name, host, remote_policy, remote_key FROM hubs ORDER BY rowid";
        self.all(sql, [], read)
    }

    /// Whether a hub has any device.
    pub fn has_devices(&self, hub: &HubName) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM identities WHERE hub = ?1 LIMIT 1";
        let found = self.one(sql, [hub.as_str()], |row| row.get::<_, i64>(0))?;
        Ok(found.is_some())
    }
}

impl Tx<'_> {
    pub fn insert_hub(&self, hub: &HubRow, created: i64) -> Result<(), StoreError> {
        let sql = "INSERT INTO hubs (name, host, remote_policy, remote_key, created)
                   VALUES (?1, ?2, ?3, ?4, ?5)";
        let (policy, key) = remote_columns(hub);
        self.write(
            Lock::Directory,
            sql,
            params![hub.name.as_str(), hub.host.as_str(), policy, key, created],
        )
        .map(drop)
    }

    /// Changes where a hub is reached, and how.
    pub fn update_hub(&self, hub: &HubRow) -> Result<(), StoreError> {
        let sql = "UPDATE hubs SET host = ?2, remote_policy = ?3, remote_key = ?4 WHERE name = ?1";
        let (policy, key) = remote_columns(hub);
        self.write(
            Lock::Directory,
            sql,
            params![hub.name.as_str(), hub.host.as_str(), policy, key],
        )
        .map(drop)
    }

    /// Deletes a hub with its policies and configurations. Its links and devices are the
    /// caller's to look after.
    pub fn delete_hub(&self, hub: &HubName) -> Result<(), StoreError> {
        for sql in [
            "DELETE FROM policies WHERE owner_kind = 'hub' AND owner = ?1",
            "DELETE FROM configuration_targets WHERE hub = ?1",
            "DELETE FROM configuration_settings WHERE hub = ?1",
            "DELETE FROM targeting_queue WHERE hub = ?1",
            "DELETE FROM rollout_devices WHERE hub = ?1",
            "DELETE FROM rollouts WHERE hub = ?1",
            "DELETE FROM configurations WHERE hub = ?1",
            "DELETE FROM remote_tasks WHERE hub = ?1",
            // With their devices.
            "DELETE FROM jobs WHERE hub = ?1",
            "DELETE FROM hubs WHERE name = ?1",
        ] {
            self.write(Lock::Directory, sql, [hub.as_str()])?;
        }
        Ok(())
    }
}
