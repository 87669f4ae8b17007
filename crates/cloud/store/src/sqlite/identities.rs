use std::path::Path;
use std::sync::Arc;

use ids::{DeviceId, HubName, ModuleId};
use rusqlite::{Row, params};

use crate::sqlite::decode;
use crate::sqlite::identity_counts::Counted;
use crate::{AuthKind, IdentityKey, IdentityRow, Listed, Lock, StoreError, Tx, View};

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
        hub: decode::id(row, 1, "hub")?,
        device_id: decode::id(row, 2, "device id")?,
        module_id: read_module(row, 3)?,
        generation_id: decode::id(row, 4, "generation id")?,
        revision: row.get(5)?,
        enabled: row.get(6)?,
        status_reason: row.get(7)?,
        status_updated: row.get(8)?,
        auth_kind: decode::named(row, 9, "authentication", AuthKind::named)?,
        auth_primary: row.get(10)?,
        auth_secondary: row.get(11)?,
        iot_edge: row.get(12)?,
        managed_by: row.get(13)?,
        device_scope: row.get(14)?,
        parent_scopes: row.get(15)?,
    })
}

/// Reads a row of a list that begins with the columns of an identity.
pub(crate) fn read_listed<T>(
    file: &Arc<Path>,
    row: &Row<'_>,
    read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Listed<T>> {
    Ok(Listed {
        device_id: row.get(2)?,
        module_id: row.get(3)?,
        row: read(row).map_err(|error| StoreError::sql("reading", file, error)),
    })
}

/// Reads the module of a key; a device's is empty.
pub(crate) fn read_module(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<ModuleId>> {
    match row.get_ref(index)?.as_str()? {
        "" => Ok(None),
        _ => decode::id(row, index, "module id").map(Some),
    }
}

/// The module of a key, as it is stored.
pub(crate) fn module_text(module: Option<&ModuleId>) -> &str {
    module.map_or("", ModuleId::as_str)
}

pub(crate) fn key_texts<'a>(key: &IdentityKey<'a>) -> [&'a str; 3] {
    let module = module_text(key.module_id);
    [key.hub.as_str(), key.device_id.as_str(), module]
}

impl View<'_> {
    /// A device or module.
    pub fn identity(&self, key: IdentityKey<'_>) -> Result<Option<IdentityRow>, StoreError> {
        let sql = select!("WHERE hub = ?1 AND device_id = ?2 AND module_id = ?3");
        self.one(sql, key_texts(&key), read_identity)
    }

    /// The revision of a device or module, also of one that cannot be read whole.
    pub fn identity_revision(&self, key: IdentityKey<'_>) -> Result<Option<i64>, StoreError> {
        let sql = "SELECT revision FROM identities
                   WHERE hub = ?1 AND device_id = ?2 AND module_id = ?3";
        self.one(sql, key_texts(&key), |row| row.get(0))
    }

    /// Whether a device may connect.
    pub fn device_enabled(
        &self,
        hub: &HubName,
        device_id: &str,
    ) -> Result<Option<bool>, StoreError> {
        let sql = "SELECT enabled FROM identities
                   WHERE hub = ?1 AND device_id = ?2 AND module_id = ''";
        self.one(sql, [hub.as_str(), device_id], |row| row.get(0))
    }

    /// Devices of a hub whose id comes after `after`, in order.
    pub fn devices_after(
        &self,
        hub: &HubName,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Listed<IdentityRow>>, StoreError> {
        let sql = select!(
            "WHERE hub = ?1 AND device_id > ?2 AND module_id = '' ORDER BY device_id LIMIT ?3"
        );
        self.all(sql, params![hub.as_str(), after, limit], |row| {
            read_listed(self.file, row, read_identity)
        })
    }

    /// The modules of a device, in order.
    pub fn modules(
        &self,
        hub: &HubName,
        device_id: &DeviceId,
    ) -> Result<Vec<IdentityRow>, StoreError> {
        let sql =
            select!("WHERE hub = ?1 AND device_id = ?2 AND module_id > '' ORDER BY module_id");
        self.all(sql, [hub.as_str(), device_id.as_str()], read_identity)
    }

    /// How many modules a device has besides its system modules.
    pub fn count_modules(&self, hub: &HubName, device_id: &DeviceId) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM identities WHERE hub = ?1 AND device_id = ?2
                   AND module_id > '' AND substr(module_id, 1, 1) <> '$'";
        let found = self.one(sql, [hub.as_str(), device_id.as_str()], |row| row.get(0))?;
        Ok(found.unwrap_or_default())
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
            row.auth_kind.name(), row.auth_primary, row.auth_secondary, row.iot_edge, row.managed_by,
            row.device_scope, row.parent_scopes,
        ];
        let before = self.counted_in_row(row.id)?;
        self.write_version(lock(row), sql, values)?;
        self.count(&row.hub, Counted::of(row).plus(before.gone()));
        Ok(())
    }

    /// Deletes a device with its modules, its place in deployments and all their twins.
    pub fn delete_device(&self, hub: &HubName, device_id: &DeviceId) -> Result<(), StoreError> {
        self.unindex_device(hub, device_id)?;
        self.count(hub, self.counted_of_device(hub, device_id)?.gone());
        let sql = "DELETE FROM identities WHERE hub = ?1 AND device_id = ?2";
        let lock = Lock::device(hub, device_id);
        self.write(lock, sql, [hub.as_str(), device_id.as_str()])?;
        self.forget_configuration_settings(hub, device_id)?;
        self.leave_configurations(hub, device_id)
    }

    /// Deletes a module with its twin, and its place in configurations, when it has this revision.
    pub fn delete_module(&self, key: IdentityKey<'_>, revision: i64) -> Result<(), StoreError> {
        let sql = "SELECT id FROM identities
                   WHERE hub = ?1 AND device_id = ?2 AND module_id = ?3 AND revision = ?4";
        let [hub, device_id, module_id] = key_texts(&key);
        let lock = Lock::Device { hub, device_id };
        let found = self.one(sql, params![hub, device_id, module_id, revision], |row| {
            row.get(0)
        })?;
        let id: i64 = found.ok_or_else(|| StoreError::changed(self.file))?;
        self.reindex(key, id, None)?;
        let sql = "DELETE FROM identities WHERE id = ?1";
        self.write_version(lock, sql, [id])?;
        self.count(key.hub, Counted::MODULE.gone());
        self.write_configuration_settings(key, None)?;
        let sql = "DELETE FROM configuration_targets
                   WHERE hub = ?1 AND device_id = ?2 AND module_id = ?3";
        self.write(lock, sql, [hub, device_id, module_id]).map(drop)
    }

    /// Moves a device with its modules and twins to another hub or id, which must be free. Its
    /// place in the old hub's configurations and its open uploads go; what they set goes when those
    /// of the new hub are evaluated.
    pub fn move_device(
        &self,
        from: (&HubName, &DeviceId),
        to: (&HubName, &DeviceId),
    ) -> Result<(), StoreError> {
        let (hub, device_id) = from;
        self.leave_configurations(hub, device_id)?;
        let lock = Lock::device(hub, device_id);
        let sql = "DELETE FROM file_uploads WHERE identity IN
                   (SELECT id FROM identities WHERE hub = ?1 AND device_id = ?2)";
        self.write(lock, sql, [hub.as_str(), device_id.as_str()])?;
        let values = [
            hub.as_str(),
            device_id.as_str(),
            to.0.as_str(),
            to.1.as_str(),
        ];
        let sql = "UPDATE configuration_settings SET hub = ?3, device_id = ?4
                   WHERE hub = ?1 AND device_id = ?2";
        let settings = self.write(lock, sql, values)?;
        self.move_index(from, to.0)?;
        let counted = self.counted_of_device(hub, device_id)?;
        self.count(hub, counted.gone());
        self.count(to.0, counted);
        let sql = "UPDATE identities SET hub = ?3, device_id = ?4
                   WHERE hub = ?1 AND device_id = ?2";
        self.write(lock, sql, values)?;
        let (hub, device_id) = to;
        if settings > 0 {
            self.queue_device(hub, device_id)?;
        }
        let sql = "UPDATE identities SET configurations = NULL
                   WHERE hub = ?1 AND device_id = ?2";
        let device = [hub.as_str(), device_id.as_str()];
        self.write(Lock::device(hub, device_id), sql, device)
            .map(drop)
    }

    fn leave_configurations(&self, hub: &HubName, device_id: &DeviceId) -> Result<(), StoreError> {
        let lock = Lock::device(hub, device_id);
        let device = [hub.as_str(), device_id.as_str()];
        let sql = "DELETE FROM configuration_targets WHERE hub = ?1 AND device_id = ?2";
        self.write(lock, sql, device)?;
        let sql = "DELETE FROM rollout_devices WHERE hub = ?1 AND device_id = ?2";
        self.write(lock, sql, device)?;
        let sql = "DELETE FROM targeting_queue WHERE hub = ?1 AND device_id = ?2";
        self.write(lock, sql, device).map(drop)
    }
}

/// The lock of a device or of a module's device.
pub(crate) fn lock(row: &IdentityRow) -> Lock<'_> {
    Lock::device(&row.hub, &row.device_id)
}
