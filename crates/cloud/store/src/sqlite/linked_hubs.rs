use ids::HubName;
use rusqlite::params;

use crate::sqlite::hubs::read;
use crate::{LinkRow, Lock, StoreError, Tx, View};

impl View<'_> {
    /// The hubs linked to a service, by name.
    pub fn linked_hubs(&self, id_scope: &str) -> Result<Vec<LinkRow>, StoreError> {
        let sql = "SELECT name, host, remote_policy, remote_key, allocation_weight,
                   apply_allocation_policy,
                       latencies
                   FROM linked_hubs JOIN hubs ON hubs.name = linked_hubs.hub WHERE id_scope = ?1
                   ORDER BY name";
        self.all(sql, [id_scope], |row| {
            Ok(LinkRow {
                hub: read(row)?,
                allocation_weight: row.get(4)?,
                apply_allocation_policy: row.get(5)?,
                latencies: row.get(6)?,
            })
        })
    }

    /// Whether a service is linked to a hub.
    pub fn is_hub_linked_to(&self, id_scope: &str, hub: &HubName) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM linked_hubs WHERE id_scope = ?1 AND hub = ?2";
        let found = self.one(sql, [id_scope, hub.as_str()], |row| row.get::<_, i64>(0))?;
        Ok(found.is_some())
    }

    /// Whether any service is linked to a hub.
    pub fn is_hub_linked(&self, hub: &HubName) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM linked_hubs WHERE hub = ?1 LIMIT 1";
        let found = self.one(sql, [hub.as_str()], |row| row.get::<_, i64>(0))?;
        Ok(found.is_some())
    }
}

impl Tx<'_> {
    /// Links a hub to a service, or changes the link that is there.
    pub fn put_link(&self, id_scope: &str, link: &LinkRow) -> Result<(), StoreError> {
        let sql =
            "INSERT INTO linked_hubs (id_scope, hub, allocation_weight, apply_allocation_policy,
            latencies)
                   VALUES (?1, ?2, ?3, ?4, ?5)
                   ON CONFLICT (id_scope, hub) DO UPDATE SET
                       allocation_weight = excluded.allocation_weight,
                       apply_allocation_policy = excluded.apply_allocation_policy,
                       latencies = excluded.latencies";
        #[rustfmt::skip]
        let values = params![id_scope, link.hub.name.as_str(), link.allocation_weight,
            link.apply_allocation_policy, link.latencies];
        self.write(Lock::Directory, sql, values).map(drop)
    }

    /// Takes a hub from a service.
    pub fn delete_link(&self, id_scope: &str, hub: &HubName) -> Result<(), StoreError> {
        let sql = "DELETE FROM linked_hubs WHERE id_scope = ?1 AND hub = ?2";
        self.write(Lock::Directory, sql, [id_scope, hub.as_str()])
            .map(drop)
    }
}
