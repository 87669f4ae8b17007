use rusqlite::{Row, params};

use crate::{Secret, StoreError, Tx, View};

/// A provisioning service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceRow {
    /// Its ID scope.
    pub id_scope: String,
    /// The key of its operation ids, base64.
    pub operation_key: Secret,
    /// Its name.
    pub name: String,
    /// `host` or `host:port` of its service API; `None` for the server's own.
    pub host: Option<String>,
    /// The allocation policy of enrollments that name none.
    pub allocation_policy: String,
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

fn read_policy(row: &Row<'_>) -> rusqlite::Result<PolicyRow> {
    Ok(PolicyRow {
        name: row.get(0)?,
        primary_key: row.get(1)?,
        secondary_key: row.get(2)?,
        rights: row.get(3)?,
    })
}

impl View<'_> {
    /// The services of this directory, the first one first.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn services(&self) -> Result<Vec<ServiceRow>, StoreError> {
        let sql = "SELECT id_scope, operation_key, name, host, allocation_policy FROM services ORDER BY rowid";
        self.all(sql, [], |row| {
            Ok(ServiceRow {
                id_scope: row.get(0)?,
                operation_key: row.get(1)?,
                name: row.get(2)?,
                host: row.get(3)?,
                allocation_policy: row.get(4)?,
            })
        })
    }

    /// The policies of a service (by ID scope) or a hub (by name).
    ///
    /// # Errors
    /// When the storage fails.
    pub fn policies(&self, owner_kind: &str, owner: &str) -> Result<Vec<PolicyRow>, StoreError> {
        let sql = "SELECT name, primary_key, secondary_key, rights FROM policies
                   WHERE owner_kind = ?1 AND owner = ?2 ORDER BY rowid";
        self.all(sql, [owner_kind, owner], read_policy)
    }
}

impl Tx<'_> {
    /// Adds a service.
    ///
    /// # Errors
    /// When the storage fails, or the name is taken.
    pub fn insert_service(&self, service: &ServiceRow, created: i64) -> Result<(), StoreError> {
        let sql =
            "INSERT INTO services (id_scope, operation_key, name, host, allocation_policy, created)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        #[rustfmt::skip]
        let values = params![
            service.id_scope, service.operation_key, service.name, service.host, service.allocation_policy, created,
        ];
        self.run(sql, values).map(drop)
    }

    /// Changes where a service is reached.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn set_service_host(&self, id_scope: &str, host: &str) -> Result<(), StoreError> {
        let sql = "UPDATE services SET host = ?2 WHERE id_scope = ?1";
        self.run(sql, [id_scope, host]).map(drop)
    }

    /// Changes the allocation policy of enrollments that name none.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn set_allocation_policy(&self, id_scope: &str, policy: &str) -> Result<(), StoreError> {
        let sql = "UPDATE services SET allocation_policy = ?2 WHERE id_scope = ?1";
        self.run(sql, [id_scope, policy]).map(drop)
    }

    /// Writes a page without changing anything, to learn whether writing works.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn touch(&self) -> Result<(), StoreError> {
        self.run("UPDATE services SET created = created", [])
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

    /// Writes keys and rights of a shared access policy.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn update_policy(
        &self,
        owner_kind: &str,
        owner: &str,
        policy: &PolicyRow,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE policies SET primary_key = ?4, secondary_key = ?5, rights = ?6
                   WHERE owner_kind = ?1 AND owner = ?2 AND name = ?3";
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

    /// Deletes a shared access policy.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn delete_policy(
        &self,
        owner_kind: &str,
        owner: &str,
        name: &str,
    ) -> Result<(), StoreError> {
        let sql = "DELETE FROM policies WHERE owner_kind = ?1 AND owner = ?2 AND name = ?3";
        self.run(sql, [owner_kind, owner, name]).map(drop)
    }
}
