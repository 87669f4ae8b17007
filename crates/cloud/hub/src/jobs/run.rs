//! One job, step by step.

use std::time::Duration;

use registry::{JobDeviceState, JobKind, JobRecord, JobState, JobStep, StorageError, next_step};
use tokio::time::sleep;
use wire::lenient::BodyError;

use super::call::Calls;
use super::{log_failure, select, transfer, update};
use crate::service::Hub;

/// After the storage failed.
pub(super) const RETRY: Duration = Duration::from_secs(5);

/// Why a step was not made.
#[derive(Debug, thiserror::Error)]
pub(super) enum StepError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The job that is stored was written by a version that allowed more.
    #[error("the job cannot be read: {0}")]
    Unreadable(String),
    /// A file of an import or export could not be read or written.
    #[error("{0}")]
    Stopped(String),
}

impl From<BodyError> for StepError {
    fn from(error: BodyError) -> Self {
        Self::Unreadable(error.to_string())
    }
}

/// Runs a job to its end. Steps are repeated after a failure of the storage.
pub(super) async fn run(hub: &Hub, row: i64) {
    let mut calls = Calls::default();
    let mut interrupted = true;
    loop {
        match step(hub, row, &mut calls, &mut interrupted).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(StepError::Storage(error)) => {
                log_failure(&error, "a job could not go on");
                sleep(RETRY).await;
            }
            Err(StepError::Unreadable(cause) | StepError::Stopped(cause)) => {
                fail(hub, row, cause).await
            }
        }
    }
}

/// One step; whether there are more.
async fn step(
    hub: &Hub,
    row: i64,
    calls: &mut Calls,
    interrupted: &mut bool,
) -> Result<bool, StepError> {
    let Some((job, progress)) = hub.registry().job_progress(row)? else {
        return Ok(false);
    };
    if *interrupted {
        // Calls of the process before: this one has made none.
        while close(hub, &job, JobDeviceState::Running).await? > 0 {}
        *interrupted = false;
        return Ok(true);
    }
    let now = hub.now();
    match next_step(&progress, now) {
        JobStep::Wait(_) | JobStep::Nothing => return Ok(false),
        JobStep::Start => {
            tracing::info!(hub.name = %job.hub, job.id = %job.id, "job started");
            let first = match job.is_transfer() {
                true => JobState::Working,
                false => JobState::Selecting,
            };
            hub.registry().start_job(&job, first).await?;
        }
        JobStep::Select => select::step(hub, &job).await?,
        JobStep::Work => match job.kind {
            JobKind::DeviceMethod => calls.make(hub, &job).await?,
            JobKind::UpdateTwin => update::step(hub, &job).await?,
            JobKind::Import | JobKind::Export => transfer::step(hub, &job).await?,
        },
        // The outcome of a call could not be written.
        JobStep::Await(_) if calls.are_none() => {
            close(hub, &job, JobDeviceState::Running).await?;
        }
        JobStep::Await(deadline) => calls.wait(hub, deadline).await,
        JobStep::Complete => end(hub, &job, JobState::Completing, None).await?,
        JobStep::Expire => {
            let seconds = job.lifetime;
            let failure = format!(
                "maxExecutionTimeInSeconds ({seconds} s) passed before every device had an outcome"
            );
            end(hub, &job, JobState::Failing, Some(failure)).await?;
        }
        JobStep::Close => {
            calls.abandon().await;
            while close(hub, &job, JobDeviceState::Running).await? > 0 {}
            while close(hub, &job, JobDeviceState::Pending).await? > 0 {}
        }
        JobStep::Finish => {
            if job.is_transfer() {
                transfer::end(hub, &job).await;
            }
            hub.registry().finish_job(&job, now).await?;
            tracing::info!(hub.name = %job.hub, job.id = %job.id, "job ended");
        }
    }
    Ok(true)
}

async fn close(hub: &Hub, job: &JobRecord, from: JobDeviceState) -> Result<usize, StorageError> {
    hub.registry().close_job_devices(job, from, hub.now()).await
}

async fn end(
    hub: &Hub,
    job: &JobRecord,
    state: JobState,
    failure: Option<String>,
) -> Result<(), StorageError> {
    hub.registry().end_job(job, state, failure).await
}

async fn fail(hub: &Hub, row: i64, cause: String) {
    let failed = async {
        match hub.registry().job_progress(row)? {
            Some((job, _)) => end(hub, &job, JobState::Failing, Some(cause)).await,
            None => Ok(()),
        }
    };
    if let Err(error) = failed.await {
        log_failure(&error, "a job could not go on");
        sleep(RETRY).await;
    }
}
