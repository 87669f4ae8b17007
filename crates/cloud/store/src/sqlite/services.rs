use ids::{HubHost, IdScope};
use rusqlite::params;

use crate::sqlite::decode;
use crate::{Lock, ServiceRow, StoreError, Tx, View};

impl View<'_> {
    /// The services of this directory, the first one first.
    pub fn services(&self) -> Result<Vec<ServiceRow>, StoreError> {
        let sql = "SELECT id_scope, operation_key, name, host, allocation_policy FROM services
                   ORDER BY rowid";
        self.all(sql, [], |row| {
            Ok(ServiceRow {
                id_scope: decode::id(row, 0, "ID scope")?,
                operation_key: row.get(1)?,
                name: decode::id(row, 2, "service name")?,
                host: decode::optional_id(row, 3, "service host")?,
                allocation_policy: row.get(4)?,
            })
        })
    }
}

impl Tx<'_> {
    pub fn insert_service(&self, service: &ServiceRow, created: i64) -> Result<(), StoreError> {
        let sql =
            "INSERT INTO services (id_scope, operation_key, name, host, allocation_policy, created)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        #[rustfmt::skip]
        let values = params![
            service.id_scope.as_str(), service.operation_key, service.name.as_str(),
            service.host.as_ref().map(HubHost::as_str), service.allocation_policy, created,
        ];
        self.write(Lock::Directory, sql, values).map(drop)
    }

    /// Changes where a service is reached.
    pub fn set_service_host(&self, id_scope: &IdScope, host: &HubHost) -> Result<(), StoreError> {
        let (id_scope, host) = (id_scope.as_str(), host.as_str());
        let sql = "UPDATE services SET host = ?2 WHERE id_scope = ?1";
        self.write(Lock::Service { id_scope }, sql, [id_scope, host])
            .map(drop)
    }

    /// Changes the allocation policy of enrollments that name none.
    pub fn set_allocation_policy(&self, id_scope: &str, policy: &str) -> Result<(), StoreError> {
        let sql = "UPDATE services SET allocation_policy = ?2 WHERE id_scope = ?1";
        self.write(Lock::Service { id_scope }, sql, [id_scope, policy])
            .map(drop)
    }

    /// Writes a page without changing anything, to learn whether writing works.
    pub fn touch(&self) -> Result<(), StoreError> {
        self.write(Lock::Directory, "UPDATE services SET created = created", [])
            .map(drop)
    }
}
