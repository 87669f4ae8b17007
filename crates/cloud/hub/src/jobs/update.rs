//! Updates the twins of a job's devices, some at a time.

use futures_util::future::try_join_all;
use registry::{IfMatch, JobDeviceError, JobRecord, JobTwinUpdate, TwinError, TwinPatch};
use wire::service_api::job::{JobType, JobWork};
use wire::twin::TwinChange;

use super::run::StepError;
use crate::error;
use crate::service::Hub;

/// Twins that are on their way to the writer at once, behind everything that somebody waits for.
const BATCH: usize = 64;

pub(super) async fn step(hub: &Hub, job: &JobRecord) -> Result<(), StepError> {
    let work = JobWork::parse(JobType::ScheduleUpdateTwin, &job.work)?;
    let JobWork::Twin(change, etag) = work else {
        return Err(StepError::Unreadable("it has no twin update".to_owned()));
    };
    let update = checked_update(change, etag.map_or(IfMatch::Any, IfMatch::Exactly))
        .map_err(|error| StepError::Unreadable(error.to_string()))?;
    let (registry, now) = (hub.registry(), hub.now());
    let targets = registry.pending_job_devices(job, BATCH)?;
    let updates = targets
        .into_iter()
        .map(|target| registry.update_job_twin(job, target, &update, describe, now));
    try_join_all(updates).await?;
    Ok(())
}

/// The update when every twin could get it.
pub(crate) fn checked_update(
    change: TwinChange,
    if_match: IfMatch,
) -> Result<JobTwinUpdate, TwinError> {
    let patch = TwinPatch {
        tags: change.tags,
        desired: change.desired,
    };
    JobTwinUpdate::new(&patch, if_match)
}

fn describe(refusal: &TwinError) -> JobDeviceError {
    JobDeviceError {
        code: error::twin(refusal).code(),
        text: refusal.to_string(),
    }
}
