use rusqlite::{Row, params};

use crate::{IdentityKey, IdentityRow, Lock, StoreError, Tx, View};

/// The columns of an [`IdentityRow`], in the order in which [`read_identity`] takes them.
macro_rules! identity_columns {
    () => {
        "id, hub, device_id, module_id, generation_id, revision, enabled, status_reason,
        status_updated, auth_kind,
         auth_primary, auth_secondary, iot_edge, managed_by, device_scope, parent_scopes"
    };
}
pub(crate) use identity_columns;

macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT ", identity_columns!(), " FROM identities ", $rest)
    };
}

pub(crate) fn read_identity(row: &Row<'_>) -> rusqlite::Result<IdentityRow> {
    Ok(IdentityRow {
        id: row.get(0)?,
        hub: row.get(1)?,
        device_id: row.get(2)?,
        module_id: row.get(3)?,
        generation_id: row.get(4)?,
        revision: row.get(5)?,
        enabled: row.get(6)?,
        status_reason: row.get(7)?,
        status_updated: row.get(8)?,
        auth_kind: row.get(9)?,
        auth_primary: row.get(10)?,
        auth_secondary: row.get(11)?,
        iot_edge: row.get(12)?,
        managed_by: row.get(13)?,
        device_scope: row.get(14)?,
        parent_scopes: row.get(15)?,
    })
}

impl View<'_> {
    /// A device or module.
    pub fn identity(&self, key: IdentityKey<'_>) -> Result<Option<IdentityRow>, StoreError> {
        let sql = select!("WHERE hub = ?1 AND device_id = ?2 AND module_id = ?3");
        self.one(sql, [key.hub, key.device_id, key.module_id], read_identity)
    }

    /// Devices of a hub whose id comes after `after`, in order.
    pub fn devices_after(
        &self,
        hub: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<IdentityRow>, StoreError> {
        let sql = select!(
            "WHERE hub = ?1 AND device_id > ?2 AND module_id = '' ORDER BY device_id LIMIT ?3"
        );
        self.all(sql, params![hub, after, limit], read_identity)
    }

    /// The modules of a device, in order.
    pub fn modules(&self, hub: &str, device_id: &str) -> Result<Vec<IdentityRow>, StoreError> {
        let sql =
            select!("WHERE hub = ?1 AND device_id = ?2 AND module_id > '' ORDER BY module_id");
        self.all(sql, [hub, device_id], read_identity)
    }

    /// How many devices a hub has: all, and those enabled.
    pub fn count_devices(&self, hub: &str) -> Result<(u64, u64), StoreError> {
        let sql = "SELECT count(*), coalesce(sum(enabled), 0) FROM identities WHERE hub = ?1 AND
                   module_id = ''";
        Ok(self
            .one(sql, [hub], |row| Ok((row.get(0)?, row.get(1)?)))?
            .unwrap_or_default())
    }
}

impl Tx<'_> {
    /// Writes all of an identity but key, generation and twin.
    pub fn update_identity(&self, row: &IdentityRow) -> Result<(), StoreError> {
        let sql = "UPDATE identities SET revision = ?2, enabled = ?3, status_reason = ?4,
                   status_updated = ?5,
                       auth_kind = ?6, auth_primary = ?7, auth_secondary = ?8, iot_edge = ?9,
                       managed_by = ?10,
                       device_scope = ?11, parent_scopes = ?12
                   WHERE id = ?1 AND revision = ?2 - 1";
        #[rustfmt::skip]
        let values = params![
            row.id, row.revision, row.enabled, row.status_reason, row.status_updated,
            row.auth_kind, row.auth_primary, row.auth_secondary, row.iot_edge, row.managed_by,
            row.device_scope, row.parent_scopes,
        ];
        self.write_version(lock(row), sql, values)
    }

    /// Deletes a device with its modules, its place in deployments and all their twins.
    pub fn delete_device(&self, hub: &str, device_id: &str) -> Result<(), StoreError> {
        self.unindex_device(hub, device_id)?;
        let sql = "DELETE FROM identities WHERE hub = ?1 AND device_id = ?2";
        self.write(Lock::Device { hub, device_id }, sql, [hub, device_id])?;
        self.forget_configuration_settings(hub, device_id)?;
        self.leave_configurations(hub, device_id)
    }

    /// Deletes a module with its twin, and its place in configurations.
    pub fn delete_module(&self, row: &IdentityRow) -> Result<(), StoreError> {
        self.reindex(row, None)?;
        let sql = "DELETE FROM identities WHERE id = ?1 AND revision = ?2";
        self.write_version(lock(row), sql, [row.id, row.revision])?;
        let (hub, device_id, module_id) = (&row.hub, &row.device_id, &row.module_id);
        self.write_configuration_settings(hub, device_id, module_id, None)?;
        let sql = "DELETE FROM configuration_targets
                   WHERE hub = ?1 AND device_id = ?2 AND module_id = ?3";
        self.write(lock(row), sql, [hub, device_id, module_id])
            .map(drop)
    }

    /// Moves a device with its modules and twins to another hub or id, which must be free. Its
    /// place in the old hub's configurations goes; what they set goes when those of the new hub are
    /// evaluated.
    pub fn move_device(&self, from: (&str, &str), to: (&str, &str)) -> Result<(), StoreError> {
        let (hub, device_id) = from;
        self.leave_configurations(hub, device_id)?;
        let values = [hub, device_id, to.0, to.1];
        let sql = "UPDATE configuration_settings SET hub = ?3, device_id = ?4
                   WHERE hub = ?1 AND device_id = ?2";
        let settings = self.write(Lock::Device { hub, device_id }, sql, values)?;
        self.move_index(from, to.0)?;
        let sql = "UPDATE identities SET hub = ?3, device_id = ?4
                   WHERE hub = ?1 AND device_id = ?2";
        self.write(Lock::Device { hub, device_id }, sql, values)?;
        let (hub, device_id) = to;
        if settings > 0 {
            self.queue_device(hub, device_id)?;
        }
        let sql = "UPDATE identities SET configurations = NULL
                   WHERE hub = ?1 AND device_id = ?2";
        self.write(Lock::Device { hub, device_id }, sql, [hub, device_id])
            .map(drop)
    }

    fn leave_configurations(&self, hub: &str, device_id: &str) -> Result<(), StoreError> {
        let lock = Lock::Device { hub, device_id };
        let sql = "DELETE FROM configuration_targets WHERE hub = ?1 AND device_id = ?2";
        self.write(lock, sql, [hub, device_id])?;
        let sql = "DELETE FROM targeting_queue WHERE hub = ?1 AND device_id = ?2";
        self.write(lock, sql, [hub, device_id]).map(drop)
    }
}

/// The lock of a device or of a module's device.
pub(crate) fn lock(row: &IdentityRow) -> Lock<'_> {
    Lock::Device {
        hub: &row.hub,
        device_id: &row.device_id,
    }
}
