use ids::{ConfigurationId, DeviceId, HubName};
use rusqlite::{Error, Row, params};

use crate::sqlite::decode;
use crate::{
    AdmittedRow, HoldingRollout, ListedAdmitted, ListedRow, Lock, RolloutDeviceCounts,
    RolloutDeviceRow, RolloutHold, RolloutRow, StoreError, Tx, View,
};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, configuration, configuration_id, revision, hold, document, created, updated
             FROM rollouts ",
            $rest
        )
    };
}

fn read(row: &Row<'_>) -> rusqlite::Result<RolloutRow> {
    Ok(RolloutRow {
        id: row.get(0)?,
        configuration: row.get(1)?,
        configuration_id: decode::id(row, 2, "configuration id")?,
        revision: row.get(3)?,
        hold: match row.get(4)? {
            0 => RolloutHold::Nothing,
            1 => RolloutHold::NotAdmitted,
            2 => RolloutHold::All,
            other => return Err(Error::IntegralValueOutOfRange(4, other)),
        },
        document: row.get(5)?,
        created: row.get(6)?,
        updated: row.get(7)?,
    })
}

fn hold_number(hold: RolloutHold) -> i64 {
    match hold {
        RolloutHold::Nothing => 0,
        RolloutHold::NotAdmitted => 1,
        RolloutHold::All => 2,
    }
}

impl View<'_> {
    /// The rollouts of a hub, the latest first.
    pub fn rollouts(
        &self,
        hub: &HubName,
        limit: usize,
    ) -> Result<Vec<ListedRow<RolloutRow>>, StoreError> {
        let sql = select!("WHERE hub = ?1 ORDER BY id DESC LIMIT ?2");
        self.all(sql, params![hub.as_str(), limit], |row| {
            self.list_row(row, decode::lossy(row, 2)?, read)
        })
    }

    pub fn rollout(&self, hub: &HubName, id: i64) -> Result<Option<RolloutRow>, StoreError> {
        self.one(
            select!("WHERE hub = ?1 AND id = ?2"),
            params![hub.as_str(), id],
            read,
        )
    }

    /// The latest rollout of a deployment, by its id.
    pub fn latest_rollout(
        &self,
        hub: &HubName,
        configuration_id: &ConfigurationId,
    ) -> Result<Option<RolloutRow>, StoreError> {
        let sql = select!("WHERE hub = ?1 AND configuration_id = ?2 ORDER BY id DESC LIMIT 1");
        self.one(sql, [hub.as_str(), configuration_id.as_str()], read)
    }

    /// The rollouts of a hub that hold a deployment back. One that went back holds nothing any more
    /// when its deployment is gone. One whose hold is unknown holds it back, too.
    pub fn holding_rollouts(&self, hub: &HubName) -> Result<Vec<HoldingRollout>, StoreError> {
        self.all(
            select!(
                "WHERE hub = ?1 AND (hold = 1 OR (hold <> 0 AND EXISTS (
                     SELECT 1 FROM configurations AS c WHERE c.id = rollouts.configuration)))
                 ORDER BY id"
            ),
            [hub.as_str()],
            |row| {
                Ok(HoldingRollout {
                    configuration: row.get_ref(1)?.as_i64().ok(),
                    listed: self.list_row(row, decode::lossy(row, 2)?, read)?,
                })
            },
        )
    }

    /// What a device is to the rollouts of its hub.
    pub fn device_rollouts(
        &self,
        hub: &HubName,
        device_id: &str,
    ) -> Result<Vec<RolloutDeviceRow>, StoreError> {
        let sql = "SELECT rollout, ring, admitted FROM rollout_devices
                   WHERE hub = ?1 AND device_id = ?2 ORDER BY rollout";
        self.all(sql, [hub.as_str(), device_id], |row| {
            Ok(RolloutDeviceRow {
                rollout: row.get(0)?,
                ring: row.get(1)?,
                admitted: row.get(2)?,
            })
        })
    }

    /// Devices of the rings up to one that wait, in order of ring and id.
    pub fn waiting_devices(
        &self,
        rollout: i64,
        ring: u32,
        limit: usize,
    ) -> Result<Vec<DeviceId>, StoreError> {
        let sql = "SELECT device_id FROM rollout_devices
                   WHERE rollout = ?1 AND ring <= ?2 AND admitted IS NULL
                   ORDER BY ring, device_id LIMIT ?3";
        self.all(sql, params![rollout, ring, limit], |row| {
            decode::id(row, 0, "device id")
        })
    }

    /// How many devices of a rollout wait and are admitted when a ring is open.
    pub fn count_rollout_devices(
        &self,
        rollout: i64,
        ring: u32,
    ) -> Result<RolloutDeviceCounts, StoreError> {
        let sql = "SELECT count(*) FROM rollout_devices
                   WHERE rollout = ?1 AND ring <= ?2 AND admitted IS NULL";
        let waiting = self.count(sql, params![rollout, ring])?;
        let sql = "SELECT count(*) FROM rollout_devices
                   WHERE rollout = ?1 AND ring = ?2 AND admitted IS NULL";
        let waiting_in_ring = self.count(sql, params![rollout, ring])?;
        let sql = "SELECT count(*) FROM rollout_devices
                   WHERE rollout = ?1 AND ring = ?2 AND admitted IS NOT NULL";
        Ok(RolloutDeviceCounts {
            waiting,
            waiting_in_ring,
            admitted_in_ring: self.count(sql, params![rollout, ring])?,
        })
    }

    /// Whether devices of a rollout are remembered.
    pub fn has_rollout_devices(&self, rollout: i64) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM rollout_devices WHERE rollout = ?1 AND admitted IS NULL
                   UNION ALL SELECT 1 FROM rollout_devices
                   WHERE rollout = ?1 AND admitted IS NOT NULL LIMIT 1";
        Ok(self.one(sql, [rollout], |_| Ok(()))?.is_some())
    }

    /// Admitted devices of a rollout after a device id, with what their agents reported.
    pub fn admitted_devices_after(
        &self,
        hub: &HubName,
        rollout: &RolloutRow,
        after: &str,
        limit: usize,
    ) -> Result<Vec<ListedAdmitted>, StoreError> {
        let values = params![
            hub.as_str(),
            rollout.configuration_id.as_str(),
            rollout.id,
            after,
            limit
        ];
        self.all(ADMITTED_AFTER, values, |row| {
            Ok(ListedAdmitted {
                device_id: row.get(0)?,
                ring: row.get(1)?,
                row: read_admitted(row)
                    .map_err(|error| StoreError::sql("reading", self.file, error)),
            })
        })
    }
}

/// JSON that is damaged is read as an empty text, which is no JSON. A base comes before a layer of
/// the same priority.
const ADMITTED_AFTER: &str = "
    SELECT d.device_id, d.ring, d.admitted, d.restarts, coalesce(t.applied, 0),
        CASE WHEN t.applied = 1 THEN 0 ELSE EXISTS (
            SELECT 1 FROM configuration_targets AS o
            JOIN configurations AS b ON b.hub = o.hub AND b.configuration_id = o.configuration_id
            JOIN configurations AS c ON c.hub = o.hub AND c.configuration_id = ?2
            WHERE o.hub = d.hub AND o.device_id = d.device_id AND o.module_id = ''
                AND o.applied = 1 AND b.kind = 'deployment' AND (b.priority > c.priority
                    OR (b.priority = c.priority AND (c.kind <> 'deployment'
                        OR (b.created, b.configuration_id) > (c.created, c.configuration_id)))))
        END,
        a.desired_version,
        CASE WHEN length(a.desired) > 262144 THEN NULL WHEN json_valid(a.desired, 8) = 0 THEN ''
            ELSE json(a.desired) END,
        CASE WHEN length(a.reported) > 262144 THEN NULL WHEN json_valid(a.reported, 8) = 0 THEN ''
            ELSE json(a.reported) END,
        CASE WHEN json_valid(a.desired_metadata)
            THEN json_extract(a.desired_metadata, '$.\"$lastUpdated\"') END,
        a.twin_written, d.unsettled
    FROM rollout_devices AS d
    JOIN identities AS a ON a.hub = d.hub AND a.device_id = d.device_id
        AND a.module_id = '$edgeAgent'
    LEFT JOIN configuration_targets AS t ON t.hub = d.hub
        AND t.device_id = d.device_id AND t.module_id = '' AND t.configuration_id = ?2
    WHERE d.hub = ?1 AND d.rollout = ?3 AND d.admitted IS NOT NULL AND d.device_id > ?4
    ORDER BY d.device_id LIMIT ?5";

fn read_admitted(row: &Row<'_>) -> rusqlite::Result<AdmittedRow> {
    Ok(AdmittedRow {
        admitted: row.get(2)?,
        restarts: row.get(3)?,
        applied: row.get(4)?,
        superseded: row.get(5)?,
        desired_version: row.get(6)?,
        desired: row.get(7)?,
        reported: row.get(8)?,
        desired_changed: row.get(9)?,
        written: row.get(10)?,
        unsettled: row.get(11)?,
    })
}

impl Tx<'_> {
    pub fn insert_rollout(&self, hub: &HubName, row: &RolloutRow) -> Result<(), StoreError> {
        let sql = "INSERT INTO rollouts (hub, configuration, configuration_id, revision, hold,
                       document, created, updated)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        #[rustfmt::skip]
        let values = params![
            hub.as_str(), row.configuration, row.configuration_id.as_str(), row.revision, hold_number(row.hold),
            row.document, row.created, row.updated,
        ];
        self.write(Lock::hub(hub), sql, values).map(drop)
    }

    /// Writes the state of a rollout.
    pub fn update_rollout(&self, hub: &HubName, row: &RolloutRow) -> Result<(), StoreError> {
        let sql = "UPDATE rollouts SET revision = ?2, hold = ?3, document = ?4, updated = ?5
                   WHERE id = ?1 AND revision = ?2 - 1";
        let hold = hold_number(row.hold);
        let values = params![row.id, row.revision, hold, row.document, row.updated];
        self.write_version(Lock::hub(hub), sql, values)
    }

    /// Lets the earlier rollouts of a deployment hold nothing back.
    pub fn release_rollouts(&self, hub: &HubName, configuration: i64) -> Result<(), StoreError> {
        let sql =
            "UPDATE rollouts SET hold = 0 WHERE hub = ?1 AND configuration = ?2 AND hold <> 0";
        self.write(Lock::hub(hub), sql, params![hub.as_str(), configuration])
            .map(drop)
    }

    /// Deletes the rollouts of a hub but the latest ones and those that hold something back.
    pub fn trim_rollouts(&self, hub: &HubName, keep: usize) -> Result<(), StoreError> {
        let sql = "DELETE FROM rollouts WHERE hub = ?1 AND (hold = 0 OR (hold <> 1 AND NOT EXISTS (
                       SELECT 1 FROM configurations AS c WHERE c.id = rollouts.configuration)))
                   AND id NOT IN
                       (SELECT id FROM rollouts WHERE hub = ?1 ORDER BY id DESC LIMIT ?2)";
        self.write(Lock::hub(hub), sql, params![hub.as_str(), keep])
            .map(drop)
    }

    /// Notes the ring of a device that waits; `None` when the deployment does not match it.
    pub fn write_rollout_ring(
        &self,
        hub: &HubName,
        device_id: &DeviceId,
        rollout: i64,
        ring: Option<u32>,
    ) -> Result<(), StoreError> {
        let lock = Lock::device(hub, device_id);
        match ring {
            Some(ring) => {
                let sql = "INSERT INTO rollout_devices (hub, device_id, rollout, ring)
                           VALUES (?1, ?2, ?3, ?4) ON CONFLICT (hub, device_id, rollout)
                           DO UPDATE SET ring = excluded.ring";
                self.write(
                    lock,
                    sql,
                    params![hub.as_str(), device_id.as_str(), rollout, ring],
                )
            }
            None => {
                let sql = "DELETE FROM rollout_devices
                           WHERE hub = ?1 AND device_id = ?2 AND rollout = ?3";
                self.write(
                    lock,
                    sql,
                    params![hub.as_str(), device_id.as_str(), rollout],
                )
            }
        }
        .map(drop)
    }

    /// Admits a device that waits.
    pub fn admit_device(
        &self,
        hub: &HubName,
        device_id: &DeviceId,
        rollout: i64,
        (at, restarts): (i64, &str),
    ) -> Result<(), StoreError> {
        let sql = "UPDATE rollout_devices SET admitted = ?4, restarts = ?5, unsettled = ?4
                   WHERE hub = ?1 AND device_id = ?2 AND rollout = ?3 AND admitted IS NULL";
        let values = params![hub.as_str(), device_id.as_str(), rollout, at, restarts];
        self.write(Lock::device(hub, device_id), sql, values)
            .map(drop)
    }

    /// Notes since when an admitted device owes an answer; `None` when it is good.
    pub fn write_unsettled(
        &self,
        hub: &HubName,
        device_id: &str,
        rollout: i64,
        since: Option<i64>,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE rollout_devices SET unsettled = ?4
                   WHERE hub = ?1 AND device_id = ?2 AND rollout = ?3 AND admitted IS NOT NULL";
        let lock = Lock::Device {
            hub: hub.as_str(),
            device_id,
        };
        let values = params![hub.as_str(), device_id, rollout, since];
        self.write(lock, sql, values).map(drop)
    }

    /// Forgets some devices of a rollout that has ended; how many.
    pub fn forget_rollout_devices(
        &self,
        hub: &HubName,
        rollout: i64,
        limit: usize,
    ) -> Result<usize, StoreError> {
        let sql = "DELETE FROM rollout_devices WHERE rowid IN (
                       SELECT rowid FROM rollout_devices
                       WHERE rollout = ?1 AND admitted IS NULL
                       UNION ALL SELECT rowid FROM rollout_devices
                       WHERE rollout = ?1 AND admitted IS NOT NULL LIMIT ?2)";
        self.write(Lock::hub(hub), sql, params![rollout, limit])
    }
}
