//! A job's update of one twin: the twin and the device's outcome are written in one transaction,
//! so that each twin is updated once, whatever happens to the process.

use ids::{Identity, Timestamp};
use store::{JobDeviceRow, JobDeviceState, JobState, Lock, StoreError, Tx, Unit, View};

use super::JobTarget;
use super::devices::{finish, pending_device};
use crate::error::StorageError;
use crate::job::{DeviceOutcome, JobDeviceError, JobRecord};
use crate::precondition::IfMatch;
use crate::registry::Registry;
use crate::registry::hub_events::job_device_ended;
use crate::registry::twins::{ChangeTwin, read};
use crate::twin::{CheckedPatch, Touched, Twin, TwinError, TwinPatch};

/// What a job does to twins.
#[derive(Debug, Clone)]
pub struct JobTwinUpdate {
    patch: CheckedPatch,
    if_match: IfMatch,
}

impl JobTwinUpdate {
    /// Checks what can be checked without a twin. Each twin must have the version of `if_match`.
    pub fn new(patch: &TwinPatch, if_match: IfMatch) -> Result<Self, TwinError> {
        let patch = patch.checked()?;
        Ok(Self { patch, if_match })
    }
}

/// How a refusal is described in the outcome of a device.
pub type UpdateFault = fn(&TwinError) -> JobDeviceError;

impl Registry {
    /// Updates the twin of a device that the job has not worked on. A refusal is its outcome.
    pub async fn update_job_twin(
        &self,
        job: &JobRecord,
        target: JobTarget,
        update: &JobTwinUpdate,
        fault: UpdateFault,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let identity = Identity {
            hub: job.hub.clone(),
            device: target.0.clone(),
            module: target.1.clone(),
        };
        let patch = update.patch.clone();
        let change = ChangeTwin {
            identity,
            if_match: update.if_match.clone(),
            read,
            change: move |twin: &mut Twin| twin.patch(&patch, now),
            watchers: self.inner.watchers.clone(),
        };
        let update = UpdateJobTwin {
            job: job.row,
            target,
            change,
            fault,
            now,
        };
        self.inner.store.write_in_background(update).await
    }
}

struct UpdateJobTwin<F> {
    job: i64,
    target: JobTarget,
    change: ChangeTwin<F>,
    fault: UpdateFault,
    now: Timestamp,
}

/// What happens to the twin of a device that is pending.
enum Decided<P> {
    Change(P),
    Refuse(JobDeviceError),
}

impl<F> Unit for UpdateJobTwin<F>
where
    F: Fn(&mut Twin) -> Result<Touched, TwinError> + Send + 'static,
{
    type Plan = Option<(JobDeviceRow, Decided<<ChangeTwin<F> as Unit>::Plan>)>;
    type Output = ();
    type Error = StorageError;

    fn locks(&self) -> Vec<Lock<'_>> {
        self.change.locks()
    }

    fn decide(&self, view: &View<'_>) -> Result<Self::Plan, StorageError> {
        let job = view.job_of_row(self.job)?;
        if job.is_none_or(|job| job.state != JobState::Working) {
            return Ok(None);
        }
        let Some(row) = pending_device(view, self.job, &self.target)? else {
            return Ok(None);
        };
        let decided = match self.change.decide(view) {
            Ok(plan) => Decided::Change(plan),
            Err(TwinError::Storage(error)) => return Err(error),
            Err(refusal) => Decided::Refuse((self.fault)(&refusal)),
        };
        Ok(Some((row, decided)))
    }

    fn apply(&self, tx: &Tx<'_>, plan: Self::Plan) -> Result<(), StoreError> {
        let Some((mut row, decided)) = plan else {
            return Ok(());
        };
        let outcome = match decided {
            Decided::Change(plan) => {
                self.change.apply(tx, plan)?;
                DeviceOutcome::Done(None)
            }
            Decided::Refuse(error) => DeviceOutcome::Failed(error),
        };
        row.started = Some(self.now.ticks());
        finish(&mut row, &outcome, self.now);
        let hub = &self.change.identity.hub;
        tx.update_job_device(hub, JobDeviceState::Pending, &row)?;
        job_device_ended(tx, &self.change.watchers, hub, &row)
    }
}
