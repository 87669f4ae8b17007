use ids::{DeviceId, HubName, ModuleId};
use rusqlite::{Row, params};

use crate::sqlite::decode;
use crate::{
    JobCounts, JobDeviceError, JobDeviceRow, JobDeviceState, Lock, PageRows, StoreError, Tx, View,
};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT job, device_id, module_id, state, created, started, ended, response,
                    error_code, error_text
             FROM job_devices ",
            $rest
        )
    };
}

fn read(row: &Row<'_>) -> rusqlite::Result<JobDeviceRow> {
    let code: Option<u32> = row.get(8)?;
    let text: Option<String> = row.get(9)?;
    Ok(JobDeviceRow {
        job: row.get(0)?,
        device_id: decode::id(row, 1, "device id")?,
        module_id: module(row, 2)?,
        state: decode::named(row, 3, "state of a job's device", JobDeviceState::named)?,
        created: row.get(4)?,
        started: row.get(5)?,
        ended: row.get(6)?,
        response: row.get(7)?,
        error: code.map(|code| JobDeviceError {
            code,
            text: text.unwrap_or_default(),
        }),
    })
}

fn module(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<ModuleId>> {
    match row.get_ref(index)?.as_str()? {
        "" => Ok(None),
        _ => decode::id(row, index, "module id").map(Some),
    }
}

/// The column of a module id.
fn text(module: Option<&ModuleId>) -> &str {
    module.map_or("", ModuleId::as_str)
}

impl View<'_> {
    pub fn job_device(
        &self,
        job: i64,
        (device, module): (&DeviceId, Option<&ModuleId>),
    ) -> Result<Option<JobDeviceRow>, StoreError> {
        let sql = select!("WHERE job = ?1 AND device_id = ?2 AND module_id = ?3");
        self.one(sql, params![job, device.as_str(), text(module)], read)
    }

    /// Some devices of a job in a state, by id.
    pub fn job_devices_in(
        &self,
        job: i64,
        state: JobDeviceState,
        limit: usize,
    ) -> Result<Vec<JobDeviceRow>, StoreError> {
        let sql = select!("WHERE job = ?1 AND state = ?2 ORDER BY device_id, module_id LIMIT ?3");
        self.all(sql, params![job, state.name(), limit], read)
    }

    /// Devices of a job after one of them, by id.
    pub fn job_devices_after(
        &self,
        job: i64,
        (device, module): (&str, &str),
        limit: usize,
    ) -> Result<PageRows<JobDeviceRow>, StoreError> {
        let sql = select!(
            "WHERE job = ?1 AND (device_id, module_id) > (?2, ?3)
             ORDER BY device_id, module_id LIMIT ?4"
        );
        let bytes = |row: &JobDeviceRow| row.response.as_ref().map_or(0, String::len);
        self.page(
            sql,
            params![job, device, module, limit + 1],
            limit,
            read,
            bytes,
        )
    }

    /// Counts the devices of a job by state.
    pub fn count_job_devices(&self, job: i64) -> Result<JobCounts, StoreError> {
        let sql = "SELECT state, count(*) FROM job_devices WHERE job = ?1 GROUP BY state";
        let rows = self.all(sql, [job], |row| {
            let state = decode::named(row, 0, "state of a job's device", JobDeviceState::named)?;
            Ok((state, row.get(1)?))
        })?;
        let mut counts = JobCounts::default();
        for (state, count) in rows {
            match state {
                JobDeviceState::Pending => counts.pending = count,
                JobDeviceState::Running => counts.running = count,
                JobDeviceState::Completed => counts.succeeded = count,
                JobDeviceState::Failed => counts.failed = count,
                JobDeviceState::Cancelled => counts.cancelled = count,
            }
        }
        Ok(counts)
    }
}

impl Tx<'_> {
    /// Adds a device to a job; nothing happens when it is there.
    pub fn insert_job_device(
        &self,
        hub: &HubName,
        job: i64,
        (device, module): (&DeviceId, Option<&ModuleId>),
        now: i64,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO job_devices (job, device_id, module_id, state, created)
                   VALUES (?1, ?2, ?3, 'pending', ?4)
                   ON CONFLICT (job, device_id, module_id) DO NOTHING";
        let values = params![job, device.as_str(), text(module), now];
        self.write(lock(hub, device), sql, values).map(drop)
    }

    /// Writes what changes of a device that was read in another state.
    pub fn update_job_device(
        &self,
        hub: &HubName,
        from: JobDeviceState,
        row: &JobDeviceRow,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE job_devices SET state = ?4, started = ?5, ended = ?6, response = ?7,
                       error_code = ?8, error_text = ?9
                   WHERE job = ?1 AND device_id = ?2 AND module_id = ?3 AND state = ?10";
        let error = row.error.as_ref();
        #[rustfmt::skip]
        let values = params![
            row.job, row.device_id.as_str(), text(row.module_id.as_ref()), row.state.name(),
            row.started, row.ended, row.response, error.map(|error| error.code),
            error.map(|error| &error.text), from.name(),
        ];
        self.write_version(lock(hub, &row.device_id), sql, values)
    }

    /// Deletes some devices of a job; returns how many.
    pub fn delete_job_devices(
        &self,
        hub: &HubName,
        job: i64,
        limit: usize,
    ) -> Result<usize, StoreError> {
        let sql = "DELETE FROM job_devices WHERE job = ?1 AND (device_id, module_id) IN
                   (SELECT device_id, module_id FROM job_devices WHERE job = ?1 LIMIT ?2)";
        self.write(Lock::Hub { hub: hub.as_str() }, sql, params![job, limit])
    }
}

fn lock<'a>(hub: &'a HubName, device: &'a DeviceId) -> Lock<'a> {
    Lock::Device {
        hub: hub.as_str(),
        device_id: device.as_str(),
    }
}
