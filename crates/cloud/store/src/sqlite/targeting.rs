use ids::{ConfigurationId, DeviceId, HubName};
use rusqlite::params;

use crate::sqlite::decode;
use crate::sqlite::identities::{key_texts, module_text, read_module};
use crate::{
    FullPassRow, IdentityKey, Lock, MetricCounts, PassScope, SettingsRow, StoreError, TargetRow,
    TargetingChange, Tx, View,
};

impl View<'_> {
    /// Devices that changed since they were last looked at, oldest change first. Their ids are as
    /// they are stored: one that is not a device id is not in the way of the others.
    pub fn queued_devices(&self, hub: &HubName, limit: usize) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT device_id FROM targeting_queue WHERE hub = ?1 ORDER BY id LIMIT ?2";
        self.all(sql, params![hub.as_str(), limit], |row| row.get(0))
    }

    /// The full pass over a hub's devices; `None` when none is due.
    pub fn full_pass(&self, hub: &HubName) -> Result<Option<FullPassRow>, StoreError> {
        let sql = "SELECT targeting_epoch, targeting_cursor, targeting_all FROM hubs
                   WHERE name = ?1 AND targeting_cursor IS NOT NULL";
        self.one(sql, [hub.as_str()], |row| {
            let scope = match row.get(2)? {
                true => PassScope::AllDevices,
                false => PassScope::EdgeDevices,
            };
            let (epoch, cursor) = (row.get(0)?, row.get(1)?);
            Ok(FullPassRow {
                epoch,
                cursor,
                scope,
            })
        })
    }

    /// Devices of a full pass after a device id, in order, as they are stored.
    pub fn pass_devices_after(
        &self,
        hub: &HubName,
        scope: PassScope,
        after: &str,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        let sql = match scope {
            PassScope::AllDevices => {
                "SELECT device_id FROM identities
                 WHERE hub = ?1 AND device_id > ?2 AND module_id = ''
                 ORDER BY device_id LIMIT ?3"
            }
            PassScope::EdgeDevices => {
                "SELECT device_id FROM identities
                 WHERE hub = ?1 AND device_id > ?2 AND module_id = '' AND iot_edge = 1
                 ORDER BY device_id LIMIT ?3"
            }
        };
        self.all(sql, params![hub.as_str(), after, limit], |row| row.get(0))
    }

    /// The configurations that concern a device and its modules, by module and id.
    pub fn configuration_targets(
        &self,
        hub: &HubName,
        device_id: &DeviceId,
    ) -> Result<Vec<TargetRow>, StoreError> {
        let sql = "SELECT module_id, configuration_id, applied FROM configuration_targets
                   WHERE hub = ?1 AND device_id = ?2 ORDER BY module_id, configuration_id";
        self.all(sql, [hub.as_str(), device_id.as_str()], |row| {
            Ok(TargetRow {
                module_id: read_module(row, 0)?,
                configuration_id: decode::id(row, 1, "configuration id")?,
                applied: row.get(2)?,
            })
        })
    }

    /// Which desired properties of a device and its modules came from configurations.
    pub fn configuration_settings(
        &self,
        hub: &HubName,
        device_id: &DeviceId,
    ) -> Result<Vec<SettingsRow>, StoreError> {
        let sql = "SELECT module_id, document FROM configuration_settings
                   WHERE hub = ?1 AND device_id = ?2";
        self.all(sql, [hub.as_str(), device_id.as_str()], |row| {
            Ok(SettingsRow {
                module_id: read_module(row, 0)?,
                document: row.get(1)?,
            })
        })
    }

    /// Devices that a configuration concerns, applied or only targeted, from one on, in order.
    pub fn targeted_devices(
        &self,
        hub: &str,
        configuration_id: &str,
        applied: bool,
        from: &str,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT DISTINCT device_id FROM configuration_targets
                   WHERE hub = ?1 AND configuration_id = ?2 AND applied = ?3 AND device_id >= ?4
                   ORDER BY device_id LIMIT ?5";
        let values = params![hub, configuration_id, applied, from, limit];
        self.all(sql, values, |row| row.get(0))
    }

    /// Whether a hub has configurations of modules.
    pub fn has_module_configurations(&self, hub: &HubName) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM configurations WHERE hub = ?1 AND kind = 'module' LIMIT 1";
        Ok(self.one(sql, [hub.as_str()], |_| Ok(()))?.is_some())
    }

    /// Whether any configuration could follow from a change.
    pub fn targeting_follows(
        &self,
        hub: &HubName,
        change: TargetingChange,
    ) -> Result<bool, StoreError> {
        let (reported, kinds) = match change {
            TargetingChange::EdgeDeviceOrModule => (false, 0),
            TargetingChange::Device => (false, 1),
            TargetingChange::ReportedOfEdgeDevice => (true, 0),
            TargetingChange::ReportedOfDevice => (true, 1),
            TargetingChange::ReportedOfModule => (true, 2),
        };
        let sql = "SELECT 1 FROM configurations WHERE hub = ?1 AND reads_reported >= ?2
                   AND (?3 = 0 OR kind = 'module' OR (?3 = 1 AND kind = 'device')) LIMIT 1";
        let found = self.one(sql, params![hub.as_str(), reported, kinds], |_| Ok(()))?;
        Ok(found.is_some())
    }

    /// Counts the devices of a configuration. `$edgeAgent` reports `lastDesiredVersion` and
    /// `lastDesiredStatus.code`.
    pub fn metric_counts(
        &self,
        hub: &HubName,
        configuration_id: &ConfigurationId,
    ) -> Result<MetricCounts, StoreError> {
        let key = [hub.as_str(), configuration_id.as_str()];
        let sql = "SELECT count(*), coalesce(sum(applied), 0) FROM configuration_targets
                   WHERE hub = ?1 AND configuration_id = ?2";
        let (targeted, applied) = self
            .one(sql, key, |row| Ok((row.get(0)?, row.get(1)?)))?
            .unwrap_or_default();
        let sql = "SELECT count(*) FILTER (WHERE code = 200), count(*) FILTER (WHERE code <> 200)
                   FROM (
                       SELECT a.reported ->> '$.lastDesiredStatus.code' AS code
                       FROM configuration_targets AS t
                       JOIN identities AS a ON a.hub = t.hub AND a.device_id = t.device_id AND
                       a.module_id = '$edgeAgent'
                       WHERE t.hub = ?1 AND t.configuration_id = ?2 AND t.applied = 1 AND
                       t.module_id = '' AND
                       length(a.reported) <= 262144
                         AND a.reported ->> '$.lastDesiredVersion' = a.desired_version)";
        let (successful, failed) = self
            .one(sql, key, |row| Ok((row.get(0)?, row.get(1)?)))?
            .unwrap_or_default();
        Ok(MetricCounts {
            targeted,
            applied,
            successful,
            failed,
        })
    }
}

impl Tx<'_> {
    /// Notes that a device changed.
    pub fn queue_device(&self, hub: &HubName, device_id: &DeviceId) -> Result<(), StoreError> {
        self.put_into_queue(hub.as_str(), device_id.as_str())
    }

    fn put_into_queue(&self, hub: &str, device_id: &str) -> Result<(), StoreError> {
        let sql = "INSERT INTO targeting_queue (hub, device_id) VALUES (?1, ?2)
                   ON CONFLICT (hub, device_id) DO NOTHING";
        self.write(Lock::Device { hub, device_id }, sql, [hub, device_id])
            .map(drop)
    }

    /// Notes that a device has been looked at. Its id is as it is stored.
    pub fn unqueue_device(&self, hub: &HubName, device_id: &str) -> Result<(), StoreError> {
        let hub = hub.as_str();
        let sql = "DELETE FROM targeting_queue WHERE hub = ?1 AND device_id = ?2";
        self.write(Lock::Device { hub, device_id }, sql, [hub, device_id])
            .map(drop)
    }

    /// Puts a device behind all others that changed. Its id is as it is stored.
    pub fn requeue_device(&self, hub: &HubName, device_id: &str) -> Result<(), StoreError> {
        self.unqueue_device(hub, device_id)?;
        // The number of the last row, when that is the one just deleted, is given out again: it
        // stays the last one.
        self.put_into_queue(hub.as_str(), device_id)
    }

    /// Begins a full pass; one that has begun starts again, with the larger scope of both.
    pub fn begin_full_pass(&self, hub: &HubName, scope: PassScope) -> Result<(), StoreError> {
        let sql = "UPDATE hubs SET targeting_epoch = targeting_epoch + 1, targeting_all =
                   max(?2, CASE WHEN targeting_cursor IS NULL THEN 0 ELSE targeting_all END),
                   targeting_cursor = '' WHERE name = ?1";
        let all = scope == PassScope::AllDevices;
        self.write(Lock::hub(hub), sql, params![hub.as_str(), all])
            .map(drop)
    }

    /// Notes how far the full pass of this epoch is, or that it is done (`None`). Does nothing when
    /// another one has begun.
    pub fn advance_full_pass(
        &self,
        hub: &HubName,
        epoch: i64,
        cursor: Option<&str>,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE hubs SET targeting_cursor = ?3 WHERE name = ?1 AND targeting_epoch = ?2";
        let values = params![hub.as_str(), epoch, cursor];
        self.write(Lock::hub(hub), sql, values).map(drop)
    }

    /// Makes these the configurations that concern a device and its modules.
    pub fn replace_configuration_targets(
        &self,
        hub: &HubName,
        device_id: &DeviceId,
        targets: &[TargetRow],
    ) -> Result<(), StoreError> {
        let lock = Lock::device(hub, device_id);
        let (hub, device_id) = (hub.as_str(), device_id.as_str());
        let sql = "DELETE FROM configuration_targets WHERE hub = ?1 AND device_id = ?2";
        self.write(lock, sql, [hub, device_id])?;
        let sql = "INSERT INTO configuration_targets
                       (hub, device_id, module_id, configuration_id, applied)
                   VALUES (?1, ?2, ?3, ?4, ?5)";
        targets.iter().try_for_each(|target| {
            let module = module_text(target.module_id.as_ref());
            let configuration = target.configuration_id.as_str();
            let values = params![hub, device_id, module, configuration, target.applied];
            self.write(lock, sql, values).map(drop)
        })
    }

    /// Notes which desired properties of a device or module came from configurations; `None` when
    /// none did.
    pub fn write_configuration_settings(
        &self,
        key: IdentityKey<'_>,
        document: Option<&str>,
    ) -> Result<(), StoreError> {
        let [hub, device_id, module_id] = key_texts(&key);
        let lock = Lock::Device { hub, device_id };
        match document {
            Some(document) => {
                let sql = "INSERT INTO configuration_settings (hub, device_id, module_id, document)
                           VALUES (?1, ?2, ?3, ?4) ON CONFLICT (hub, device_id, module_id)
                           DO UPDATE SET document = excluded.document";
                self.write(lock, sql, [hub, device_id, module_id, document])
            }
            None => {
                let sql = "DELETE FROM configuration_settings
                           WHERE hub = ?1 AND device_id = ?2 AND module_id = ?3";
                self.write(lock, sql, [hub, device_id, module_id])
            }
        }
        .map(drop)
    }

    /// Forgets which desired properties of a device and its modules came from configurations.
    pub fn forget_configuration_settings(
        &self,
        hub: &HubName,
        device_id: &DeviceId,
    ) -> Result<(), StoreError> {
        let sql = "DELETE FROM configuration_settings WHERE hub = ?1 AND device_id = ?2";
        let device = [hub.as_str(), device_id.as_str()];
        self.write(Lock::device(hub, device_id), sql, device)
            .map(drop)
    }
}
