use rusqlite::{Row, params};

use crate::{Secret, StoreError, Tx, View};

/// A hub: one of this directory, or one elsewhere that a service here is linked to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubRow {
    /// Its name.
    pub name: String,
    /// `host` or `host:port`.
    pub host: String,
    /// What opens the service API of a remote hub: name and key of a policy. `None` for a hub of this directory.
    pub remote: Option<(String, Secret)>,
}

/// A service's link to a hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkRow {
    /// The hub.
    pub hub: HubRow,
    /// 1 to 1000.
    pub allocation_weight: Option<u16>,
    /// Whether allocation policies may choose it.
    pub apply_allocation_policy: bool,
    /// How far clients are from it, by their network: a JSON array.
    pub latencies: Option<String>,
}

fn read(row: &Row<'_>) -> rusqlite::Result<HubRow> {
    let (policy, key): (Option<String>, Option<Secret>) = (row.get(2)?, row.get(3)?);
    Ok(HubRow {
        name: row.get(0)?,
        host: row.get(1)?,
        remote: policy.zip(key),
    })
}

impl View<'_> {
    /// Every hub, in the order in which they came.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn hubs(&self) -> Result<Vec<HubRow>, StoreError> {
        let sql = "SELECT name, host, remote_policy, remote_key FROM hubs ORDER BY rowid";
        self.all(sql, [], read)
    }

    /// The hubs linked to a service, by name.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn linked_hubs(&self, id_scope: &str) -> Result<Vec<LinkRow>, StoreError> {
        let sql = "SELECT name, host, remote_policy, remote_key, allocation_weight, apply_allocation_policy,
                       latencies
                   FROM linked_hubs JOIN hubs ON hubs.name = linked_hubs.hub WHERE id_scope = ?1 ORDER BY name";
        self.all(sql, [id_scope], |row| {
            Ok(LinkRow {
                hub: read(row)?,
                allocation_weight: row.get(4)?,
                apply_allocation_policy: row.get(5)?,
                latencies: row.get(6)?,
            })
        })
    }

    /// Whether any service is linked to a hub.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn is_hub_linked(&self, hub: &str) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM linked_hubs WHERE hub = ?1 LIMIT 1";
        let found = self.one(sql, [hub], |row| row.get::<_, i64>(0))?;
        Ok(found.is_some())
    }

    /// Whether a hub has any device.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn has_devices(&self, hub: &str) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM identities WHERE hub = ?1 LIMIT 1";
        let found = self.one(sql, [hub], |row| row.get::<_, i64>(0))?;
        Ok(found.is_some())
    }
}

impl Tx<'_> {
    /// Adds a hub.
    ///
    /// # Errors
    /// When the storage fails, or the name is taken.
    pub fn insert_hub(&self, hub: &HubRow, created: i64) -> Result<(), StoreError> {
        let sql = "INSERT INTO hubs (name, host, remote_policy, remote_key, created)
                   VALUES (?1, ?2, ?3, ?4, ?5)";
        let (policy, key) = hub.remote.as_ref().map(|(p, k)| (p, k)).unzip();
        self.run(sql, params![hub.name, hub.host, policy, key, created])
            .map(drop)
    }

    /// Changes where a hub is reached, and how.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn update_hub(&self, hub: &HubRow) -> Result<(), StoreError> {
        let sql = "UPDATE hubs SET host = ?2, remote_policy = ?3, remote_key = ?4 WHERE name = ?1";
        let (policy, key) = hub.remote.as_ref().map(|(p, k)| (p, k)).unzip();
        self.run(sql, params![hub.name, hub.host, policy, key])
            .map(drop)
    }

    /// Deletes a hub with its policies and configurations. Its links and devices are the caller's to look after.
    ///
    /// # Errors
    /// When the storage fails, or a service is linked to it.
    pub fn delete_hub(&self, hub: &str) -> Result<(), StoreError> {
        self.run(
            "DELETE FROM policies WHERE owner_kind = 'hub' AND owner = ?1",
            [hub],
        )?;
        self.run("DELETE FROM configuration_targets WHERE hub = ?1", [hub])?;
        self.run("DELETE FROM targeting_queue WHERE hub = ?1", [hub])?;
        self.run("DELETE FROM configurations WHERE hub = ?1", [hub])?;
        self.run("DELETE FROM hub_errands WHERE hub = ?1", [hub])?;
        self.run("DELETE FROM hubs WHERE name = ?1", [hub])
            .map(drop)
    }

    /// Links a hub to a service, or changes the link that is there.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn put_link(&self, id_scope: &str, link: &LinkRow) -> Result<(), StoreError> {
        let sql =
            "INSERT INTO linked_hubs (id_scope, hub, allocation_weight, apply_allocation_policy, latencies)
                   VALUES (?1, ?2, ?3, ?4, ?5)
                   ON CONFLICT (id_scope, hub) DO UPDATE SET
                       allocation_weight = excluded.allocation_weight,
                       apply_allocation_policy = excluded.apply_allocation_policy,
                       latencies = excluded.latencies";
        #[rustfmt::skip]
        let values = params![id_scope, link.hub.name, link.allocation_weight, link.apply_allocation_policy, link.latencies];
        self.run(sql, values).map(drop)
    }

    /// Takes a hub from a service.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn delete_link(&self, id_scope: &str, hub: &str) -> Result<(), StoreError> {
        let sql = "DELETE FROM linked_hubs WHERE id_scope = ?1 AND hub = ?2";
        self.run(sql, [id_scope, hub]).map(drop)
    }
}
