use rusqlite::params;

use crate::{Lock, MetricCounts, StoreError, Tx, View};

impl View<'_> {
    /// Edge devices that changed since they were last looked at, oldest change first.
    pub fn queued_devices(&self, hub: &str, limit: usize) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT device_id FROM targeting_queue WHERE hub = ?1 ORDER BY id LIMIT ?2";
        self.all(sql, params![hub, limit], |row| row.get(0))
    }

    /// Epoch of the full pass over a hub's Edge devices and where it goes on; `None`
    /// when none is due.
    pub fn full_pass(&self, hub: &str) -> Result<Option<(i64, String)>, StoreError> {
        let sql = "SELECT targeting_epoch, targeting_cursor FROM hubs
                   WHERE name = ?1 AND targeting_cursor IS NOT NULL";
        self.one(sql, [hub], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// Edge devices after a device id, in order.
    pub fn edge_devices_after(
        &self,
        hub: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT device_id FROM identities
                   WHERE hub = ?1 AND device_id > ?2 AND module_id = '' AND iot_edge = 1 ORDER BY
                   device_id LIMIT ?3";
        self.all(sql, params![hub, after, limit], |row| row.get(0))
    }

    /// The configurations that concern a device, with whether they are applied, by id.
    pub fn configuration_targets(
        &self,
        hub: &str,
        device_id: &str,
    ) -> Result<Vec<(String, bool)>, StoreError> {
        let sql = "SELECT configuration_id, applied FROM configuration_targets
                   WHERE hub = ?1 AND device_id = ?2 ORDER BY configuration_id";
        self.all(sql, [hub, device_id], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// Whether anything would follow from a change of a device: of its reported properties,
    /// or of anything else.
    pub fn targeting_follows(&self, hub: &str, reported_only: bool) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM configurations WHERE hub = ?1 AND reads_reported >= ?2 LIMIT 1";
        Ok(self
            .one(sql, params![hub, reported_only], |_| Ok(()))?
            .is_some())
    }

    /// Counts the devices of a configuration. `$edgeAgent` reports `lastDesiredVersion` and
    /// `lastDesiredStatus.code`.
    pub fn metric_counts(
        &self,
        hub: &str,
        configuration_id: &str,
    ) -> Result<MetricCounts, StoreError> {
        let sql = "SELECT count(*), coalesce(sum(applied), 0) FROM configuration_targets
                   WHERE hub = ?1 AND configuration_id = ?2";
        let (targeted, applied) = self
            .one(sql, [hub, configuration_id], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?
            .unwrap_or_default();
        let sql = "SELECT count(*) FILTER (WHERE code = 200), count(*) FILTER (WHERE code <> 200)
                   FROM (
                       SELECT a.reported ->> '$.lastDesiredStatus.code' AS code
                       FROM configuration_targets AS t
                       JOIN identities AS a ON a.hub = t.hub AND a.device_id = t.device_id AND
                       a.module_id = '$edgeAgent'
                       WHERE t.hub = ?1 AND t.configuration_id = ?2 AND t.applied = 1 AND
                       length(a.reported) <= 262144
                         AND a.reported ->> '$.lastDesiredVersion' = a.desired_version)";
        let (successful, failed) = self
            .one(sql, [hub, configuration_id], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?
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
    /// Notes that an Edge device changed.
    pub fn queue_device(&self, hub: &str, device_id: &str) -> Result<(), StoreError> {
        let sql = "INSERT INTO targeting_queue (hub, device_id) VALUES (?1, ?2)
                   ON CONFLICT (hub, device_id) DO NOTHING";
        self.write(Lock::Device { hub, device_id }, sql, [hub, device_id])
            .map(drop)
    }

    /// Notes that an Edge device has been looked at.
    pub fn unqueue_device(&self, hub: &str, device_id: &str) -> Result<(), StoreError> {
        let sql = "DELETE FROM targeting_queue WHERE hub = ?1 AND device_id = ?2";
        self.write(Lock::Device { hub, device_id }, sql, [hub, device_id])
            .map(drop)
    }

    /// Puts an Edge device behind all others that changed.
    pub fn requeue_device(&self, hub: &str, device_id: &str) -> Result<(), StoreError> {
        self.unqueue_device(hub, device_id)?;
        // The number of the last row, when that is the one just deleted, is given out again: it
        // stays the last one.
        self.queue_device(hub, device_id)
    }

    /// Begins a full pass; one that has begun starts again.
    pub fn begin_full_pass(&self, hub: &str) -> Result<(), StoreError> {
        let sql = "UPDATE hubs SET targeting_cursor = '', targeting_epoch = targeting_epoch + 1
                   WHERE name = ?1";
        self.write(Lock::Hub { hub }, sql, [hub]).map(drop)
    }

    /// Notes how far the full pass of this epoch is, or that it is done (`None`). Does nothing when
    /// another one has begun.
    pub fn advance_full_pass(
        &self,
        hub: &str,
        epoch: i64,
        cursor: Option<&str>,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE hubs SET targeting_cursor = ?3 WHERE name = ?1 AND targeting_epoch = ?2";
        self.write(Lock::Hub { hub }, sql, params![hub, epoch, cursor])
            .map(drop)
    }

    /// Makes these the configurations that concern a device.
    pub fn replace_configuration_targets(
        &self,
        hub: &str,
        device_id: &str,
        targets: &[(String, bool)],
    ) -> Result<(), StoreError> {
        let lock = Lock::Device { hub, device_id };
        let sql = "DELETE FROM configuration_targets WHERE hub = ?1 AND device_id = ?2";
        self.write(lock, sql, [hub, device_id])?;
        let sql = "INSERT INTO configuration_targets (hub, device_id, configuration_id, applied)
                   VALUES (?1, ?2, ?3, ?4)";
        targets.iter().try_for_each(|(configuration, applied)| {
            self.write(lock, sql, params![hub, device_id, configuration, applied])
                .map(drop)
        })
    }
}
