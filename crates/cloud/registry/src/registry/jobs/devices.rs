//! Devices of a job: which are next, which are called, what became of them.

use ids::Timestamp;
use store::{JobDeviceRow, JobDeviceState, JobState, Lock, StoreError, View, unit};

use super::JobTarget;
use crate::error::StorageError;
use crate::job::{DeviceOutcome, JobRecord};
use crate::registry::Registry;
use crate::registry::hub_events::job_device_ended;

impl Registry {
    /// Some devices that a job has not worked on, by id.
    pub fn pending_job_devices(
        &self,
        job: &JobRecord,
        limit: usize,
    ) -> Result<Vec<JobTarget>, StorageError> {
        let rows = self.inner.store.read(|view: &View<'_>| {
            Ok::<_, StorageError>(view.job_devices_in(job.row, JobDeviceState::Pending, limit)?)
        })?;
        let targets = rows.into_iter().map(|row| (row.device_id, row.module_id));
        Ok(targets.collect())
    }

    /// Marks devices as called, before they are: a crash after this leaves them marked, and they
    /// are not called again. Returns those that may be called.
    pub async fn claim_job_devices(
        &self,
        job: &JobRecord,
        targets: Vec<JobTarget>,
        now: Timestamp,
    ) -> Result<Vec<JobTarget>, StorageError> {
        let id = job.row;
        let claim = unit(
            (job.hub.clone(), targets),
            |(hub, targets)| {
                let locks = targets.iter().map(|(device, _)| Lock::Device {
                    hub: hub.as_str(),
                    device_id: device.as_str(),
                });
                locks.collect()
            },
            move |(_, targets), view| {
                let working = view.job_of_row(id)?;
                if working.is_none_or(|row| row.state != JobState::Working) {
                    return Ok(Vec::new());
                }
                let mut pending = Vec::with_capacity(targets.len());
                for target in targets {
                    pending.extend(pending_device(view, id, target)?);
                }
                Ok::<_, StorageError>(pending)
            },
            move |(hub, _), tx, pending: Vec<JobDeviceRow>| {
                let mut claimed = Vec::with_capacity(pending.len());
                for mut row in pending {
                    row.state = JobDeviceState::Running;
                    row.started = Some(now.ticks());
                    tx.update_job_device(hub, JobDeviceState::Pending, &row)?;
                    claimed.push((row.device_id, row.module_id));
                }
                Ok(claimed)
            },
        );
        self.inner.store.write_in_background(claim).await
    }

    /// Writes what became of a device that was called. Nothing happens when its outcome is known.
    pub async fn end_job_device(
        &self,
        job: &JobRecord,
        target: JobTarget,
        outcome: DeviceOutcome,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let id = job.row;
        let watchers = self.inner.watchers.clone();
        let end = unit(
            (job.hub.clone(), target),
            |(hub, (device, _))| {
                vec![Lock::Device {
                    hub: hub.as_str(),
                    device_id: device.as_str(),
                }]
            },
            move |(_, (device, module)), view| {
                let row = view.job_device(id, (device, module.as_ref()))?;
                let running = |row: &JobDeviceRow| row.state == JobDeviceState::Running;
                Ok::<_, StorageError>(row.filter(running))
            },
            move |(hub, _), tx, row| {
                let Some(mut row) = row else { return Ok(()) };
                finish(&mut row, &outcome, now);
                tx.update_job_device(hub, JobDeviceState::Running, &row)?;
                job_device_ended(tx, &watchers, hub, &row)
            },
        );
        self.inner.store.write_in_background(end).await
    }
}

/// The device when the job has not worked on it.
pub(super) fn pending_device(
    view: &View<'_>,
    job: i64,
    (device, module): &JobTarget,
) -> Result<Option<JobDeviceRow>, StoreError> {
    let row = view.job_device(job, (device, module.as_ref()))?;
    Ok(row.filter(|row| row.state == JobDeviceState::Pending))
}

/// Writes an outcome into a row.
pub(super) fn finish(row: &mut JobDeviceRow, outcome: &DeviceOutcome, now: Timestamp) {
    row.ended = Some(now.ticks());
    match outcome {
        DeviceOutcome::Done(response) => {
            row.state = JobDeviceState::Completed;
            row.response.clone_from(response);
        }
        DeviceOutcome::Failed(error) => {
            row.state = JobDeviceState::Failed;
            row.error = Some(error.clone());
        }
    }
}
