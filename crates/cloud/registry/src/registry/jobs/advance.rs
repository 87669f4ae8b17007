//! The steps of a job, each one transaction that finds the job as it was when the step was
//! decided, or does nothing.

use ids::Timestamp;
use store::{JobDeviceRow, JobDeviceState, JobRow, JobState, StoreError, Tx, View, unit};

use super::{BATCH, JobTarget, lock};
use crate::change::Change;
use crate::error::StorageError;
use crate::job::{JobCounts, JobDeviceError, JobProgress, JobRecord};
use crate::registry::Registry;
use crate::registry::hub_events::job_device_ended;

/// The error of a device that was being called when the server or the job ended.
const INTERRUPTED: u32 = 500_002;

impl Registry {
    /// A job that has not been forgotten, and what its next step depends on.
    pub fn job_progress(&self, row: i64) -> Result<Option<(JobRecord, JobProgress)>, StorageError> {
        self.inner.store.read(|view| {
            let Some(found) = view.job_of_row(row)? else {
                return Ok(None);
            };
            let any = |state| {
                let devices = view.job_devices_in(row, state, 1)?;
                Ok::<_, StorageError>(!devices.is_empty())
            };
            let job = JobRecord::new(found, JobCounts::default());
            // An import or export has no devices: it works until it says that it is done.
            let working = job.is_transfer() && job.state == JobState::Working;
            let pending = working || any(JobDeviceState::Pending)?;
            let running = any(JobDeviceState::Running)?;
            let progress = JobProgress {
                state: job.state,
                starts: job.starts,
                deadline: job.deadline(),
                pending,
                running,
            };
            Ok(Some((job, progress)))
        })
    }

    /// Begins a job in its first state.
    pub async fn start_job(&self, job: &JobRecord, first: JobState) -> Result<(), StorageError> {
        self.change_job(job, move |row, _| {
            row.state = first;
            Ok(())
        })
        .await
    }

    /// No device is worked on any more.
    pub async fn end_job(
        &self,
        job: &JobRecord,
        state: JobState,
        failure: Option<String>,
    ) -> Result<(), StorageError> {
        self.change_job(job, move |row, _| {
            row.state = state;
            row.failure.clone_from(&failure);
            Ok(())
        })
        .await
    }

    /// Counts the outcomes; the job has ended.
    pub async fn finish_job(&self, job: &JobRecord, now: Timestamp) -> Result<(), StorageError> {
        let row = job.row;
        let count = move |view: &View<'_>| Ok::<_, StorageError>(view.count_job_devices(row)?);
        // No outcome is written in the state that the job has now.
        let counts = self.inner.store.scan(count).await?;
        self.change_job(job, move |row, _| {
            row.state = match row.state {
                JobState::Failing => JobState::Failed,
                JobState::Cancelling => JobState::Cancelled,
                _ => JobState::Completed,
            };
            row.ended = Some(now.ticks());
            row.counts = counts;
            Ok(())
        })
        .await
    }

    /// Notes how far an import or export is.
    pub async fn advance_job(&self, job: &JobRecord, cursor: String) -> Result<(), StorageError> {
        self.change_job(job, move |row, _| {
            row.cursor.clone_from(&cursor);
            Ok(())
        })
        .await
    }

    /// Changes a job that is still in the state in which it was read.
    async fn change_job<F>(&self, job: &JobRecord, change: F) -> Result<(), StorageError>
    where
        F: Fn(&mut JobRow, &Tx<'_>) -> Result<(), StoreError> + Send + 'static,
    {
        let (id, state) = (job.row, job.state);
        let watchers = self.inner.watchers.clone();
        let unit = unit(
            job.hub.clone(),
            |hub| vec![lock(hub)],
            move |_, view| {
                let row = view.job_of_row(id)?;
                Ok::<_, StorageError>(row.filter(|row| row.state == state))
            },
            move |hub, tx, row| {
                let Some(mut row) = row else { return Ok(()) };
                change(&mut row, tx)?;
                row.revision += 1;
                tx.update_job(&row)?;
                if row.ended.is_some() {
                    let hub = hub.clone();
                    watchers.tell(tx, Change::Jobs { hub });
                }
                Ok(())
            },
        );
        self.inner.store.write_in_background(unit).await
    }

    /// Adds devices that were found after the cursor of a job. `next` is the cursor from now on;
    /// without one all have been found.
    pub async fn add_job_devices(
        &self,
        job: &JobRecord,
        found: Vec<JobTarget>,
        next: Option<String>,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let (id, cursor) = (job.row, job.cursor.clone());
        let add = unit(
            (job.hub.clone(), found),
            |(hub, found)| {
                let devices = found.iter().map(|(device, _)| store::Lock::Device {
                    hub: hub.as_str(),
                    device_id: device.as_str(),
                });
                devices.chain([lock(hub)]).collect()
            },
            move |_, view| {
                let row = view.job_of_row(id)?;
                Ok::<_, StorageError>(
                    row.filter(|row| row.state == JobState::Selecting && row.cursor == cursor),
                )
            },
            move |(hub, found), tx, row| {
                let Some(mut row) = row else { return Ok(()) };
                for (device, module) in found {
                    tx.insert_job_device(hub, id, (device, module.as_ref()), now.ticks())?;
                }
                match &next {
                    Some(next) => row.cursor.clone_from(next),
                    None => row.state = JobState::Working,
                }
                row.revision += 1;
                tx.update_job(&row)
            },
        );
        self.inner.store.write_in_background(add).await
    }

    /// Gives an outcome to devices that have none: those that wait are cancelled, of those that
    /// were called nothing is known. Returns how many there were; ask again until it is zero.
    pub async fn close_job_devices(
        &self,
        job: &JobRecord,
        from: JobDeviceState,
        now: Timestamp,
    ) -> Result<usize, StorageError> {
        let id = job.row;
        let open = |view: &View<'_>| Ok::<_, StorageError>(view.job_devices_in(id, from, BATCH)?);
        let devices = self.inner.store.read(open)?;
        let count = devices.len();
        if count == 0 {
            return Ok(0);
        }
        let watchers = self.inner.watchers.clone();
        let close = unit(
            (job.hub.clone(), devices),
            |(hub, devices)| {
                let locks = devices.iter().map(|row| store::Lock::Device {
                    hub: hub.as_str(),
                    device_id: row.device_id.as_str(),
                });
                locks.collect()
            },
            move |(_, devices), view| {
                let mut still = Vec::with_capacity(devices.len());
                for row in devices {
                    let device = (&row.device_id, row.module_id.as_ref());
                    still.extend(view.job_device(id, device)?.filter(|row| row.state == from));
                }
                Ok::<_, StorageError>(still)
            },
            move |(hub, _), tx, still: Vec<JobDeviceRow>| {
                for mut row in still {
                    close(&mut row, now);
                    tx.update_job_device(hub, from, &row)?;
                    job_device_ended(tx, &watchers, hub, &row)?;
                }
                Ok(())
            },
        );
        self.inner.store.write_in_background(close).await?;
        Ok(count)
    }
}

fn close(row: &mut JobDeviceRow, now: Timestamp) {
    row.ended = Some(now.ticks());
    if row.state == JobDeviceState::Running {
        row.state = JobDeviceState::Failed;
        row.error = Some(JobDeviceError {
            code: INTERRUPTED,
            text: "the call was interrupted; whether the device carried it out is not known"
                .to_owned(),
        });
    } else {
        row.state = JobDeviceState::Cancelled;
    }
}
