use rusqlite::params;

use crate::{Secret, StoreError, Tx, View};

/// A provisioning service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceRow {
    /// Its ID scope.
    pub id_scope: String,
    /// The key of its operation ids, base64.
    pub operation_key: Secret,
}

/// A hub and its link to a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubRow {
    /// Its name.
    pub name: String,
    /// `host` or `host:port`.
    pub host: String,
    /// 1 to 1000.
    pub allocation_weight: Option<u16>,
    /// Whether allocation policies may choose it.
    pub apply_allocation_policy: bool,
}

/// A shared access policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyRow {
    /// Its name.
    pub name: String,
    /// Base64.
    pub primary_key: Secret,
    /// Base64.
    pub secondary_key: Secret,
    /// Names of rights, separated by commas.
    pub rights: String,
}

impl View<'_> {
    /// The service of this directory.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn service(&self) -> Result<Option<ServiceRow>, StoreError> {
        let sql = "SELECT id_scope, operation_key FROM services ORDER BY rowid LIMIT 1";
        self.one(sql, [], |row| {
            Ok(ServiceRow {
                id_scope: row.get(0)?,
                operation_key: row.get(1)?,
            })
        })
    }

    /// The hubs linked to a service, by name.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn linked_hubs(&self, id_scope: &str) -> Result<Vec<HubRow>, StoreError> {
        let sql = "SELECT name, host, allocation_weight, apply_allocation_policy
                   FROM linked_hubs JOIN hubs ON hubs.name = linked_hubs.hub WHERE id_scope = ?1 ORDER BY name";
        self.all(sql, [id_scope], |row| {
            Ok(HubRow {
                name: row.get(0)?,
                host: row.get(1)?,
                allocation_weight: row.get(2)?,
                apply_allocation_policy: row.get(3)?,
            })
        })
    }

    /// The hub that was created first.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn first_hub(&self) -> Result<Option<String>, StoreError> {
        self.one("SELECT name FROM hubs ORDER BY rowid LIMIT 1", [], |row| {
            row.get(0)
        })
    }

    /// The policies of a service (by ID scope) or a hub (by name).
    ///
    /// # Errors
    /// When the storage fails.
    pub fn policies(&self, owner_kind: &str, owner: &str) -> Result<Vec<PolicyRow>, StoreError> {
        let sql = "SELECT name, primary_key, secondary_key, rights FROM policies
                   WHERE owner_kind = ?1 AND owner = ?2 ORDER BY rowid";
        self.all(sql, [owner_kind, owner], |row| {
            Ok(PolicyRow {
                name: row.get(0)?,
                primary_key: row.get(1)?,
                secondary_key: row.get(2)?,
                rights: row.get(3)?,
            })
        })
    }
}

impl Tx<'_> {
    /// Adds a service.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn insert_service(&self, service: &ServiceRow, created: i64) -> Result<(), StoreError> {
        let sql = "INSERT INTO services (id_scope, operation_key, created) VALUES (?1, ?2, ?3)";
        self.run(
            sql,
            params![service.id_scope, service.operation_key, created],
        )
        .map(drop)
    }

    /// Adds a hub and links it to a service.
    ///
    /// # Errors
    /// When the storage fails, or the name is taken.
    pub fn insert_linked_hub(
        &self,
        id_scope: &str,
        hub: &HubRow,
        created: i64,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO hubs (name, host, created) VALUES (?1, ?2, ?3)";
        self.run(sql, params![hub.name, hub.host, created])?;
        let sql =
            "INSERT INTO linked_hubs (id_scope, hub, allocation_weight, apply_allocation_policy)
                   VALUES (?1, ?2, ?3, ?4)";
        self.run(
            sql,
            params![
                id_scope,
                hub.name,
                hub.allocation_weight,
                hub.apply_allocation_policy
            ],
        )
        .map(drop)
    }

    /// Writes a page without changing anything, to learn whether writing works.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn touch(&self) -> Result<(), StoreError> {
        self.run("UPDATE services SET created = created", [])
            .map(drop)
    }

    /// Changes where a hub is reached.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn set_hub_host(&self, hub: &str, host: &str) -> Result<(), StoreError> {
        self.run("UPDATE hubs SET host = ?2 WHERE name = ?1", [hub, host])
            .map(drop)
    }

    /// Adds a shared access policy.
    ///
    /// # Errors
    /// When the storage fails, or the name is taken.
    pub fn insert_policy(
        &self,
        owner_kind: &str,
        owner: &str,
        policy: &PolicyRow,
    ) -> Result<(), StoreError> {
        let sql =
            "INSERT INTO policies (owner_kind, owner, name, primary_key, secondary_key, rights)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let keys = (&policy.primary_key, &policy.secondary_key);
        self.run(
            sql,
            params![
                owner_kind,
                owner,
                policy.name,
                keys.0,
                keys.1,
                policy.rights
            ],
        )
        .map(drop)
    }
}
