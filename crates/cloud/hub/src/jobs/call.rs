//! Direct methods of a job. A device is marked as called before it is, so that a crash calls no
//! device twice.

use std::sync::Arc;

use ids::{Identity, Timestamp};
use registry::{DeviceOutcome, JobDeviceError, JobRecord, JobTarget};
use tokio::task::JoinSet;
use tokio::time::sleep;
use wire::service_api::job::{JobType, JobWork};
use wire::service_api::method::MethodRequest;

use super::log_failure;
use super::run::StepError;
use crate::error::HubError;
use crate::messages::method;
use crate::service::Hub;

/// Calls of one job that wait for an answer.
const MAX_CALLS: usize = 256;

/// The calls of a job that have no outcome yet.
#[derive(Default)]
pub(super) struct Calls {
    waiting: JoinSet<()>,
    /// Read for the first call: all share one payload.
    called: Option<Arc<Called>>,
}

/// What all calls of a job have in common.
struct Called {
    job: JobRecord,
    request: MethodRequest,
}

impl Calls {
    /// Calls devices that are pending, as many as there is room for; waits for room first.
    pub(super) async fn make(&mut self, hub: &Hub, job: &JobRecord) -> Result<(), StepError> {
        while self.waiting.try_join_next().is_some() {}
        if self.waiting.len() >= MAX_CALLS {
            self.wait(hub, job.deadline()).await;
            return Ok(());
        }
        let registry = hub.registry();
        let pending = registry.pending_job_devices(job, MAX_CALLS - self.waiting.len())?;
        let called = self.called(job)?;
        for target in registry.claim_job_devices(job, pending, hub.now()).await? {
            let (hub, called) = (hub.clone(), called.clone());
            self.waiting
                .spawn(async move { call(&hub, &called, target).await });
        }
        Ok(())
    }

    fn called(&mut self, job: &JobRecord) -> Result<Arc<Called>, StepError> {
        if let Some(called) = &self.called {
            return Ok(called.clone());
        }
        let called = Arc::new(Called {
            job: job.clone(),
            request: request(job)?,
        });
        Ok(self.called.insert(called).clone())
    }

    /// Waits until a call has its outcome, a job changes, or it is this time.
    pub(super) async fn wait(&mut self, hub: &Hub, until: Timestamp) {
        let mut changes = hub.job_changes();
        changes.mark_unchanged();
        let remaining = until.since(hub.now());
        // Cancel-safe: all arms only wait.
        tokio::select! {
            Some(_) = self.waiting.join_next() => {}
            _ = changes.changed() => {}
            () = sleep(remaining.min(super::PERIOD_SCHEDULED)) => {}
        }
    }

    /// Whether no call of this process waits for an answer.
    pub(super) fn are_none(&mut self) -> bool {
        while self.waiting.try_join_next().is_some() {}
        self.waiting.is_empty()
    }

    /// Waits for no answer any more.
    pub(super) async fn abandon(&mut self) {
        self.waiting.shutdown().await;
    }
}

fn request(job: &JobRecord) -> Result<MethodRequest, StepError> {
    match JobWork::parse(JobType::ScheduleDeviceMethod, &job.work)? {
        JobWork::Method(request) => Ok(request),
        JobWork::Twin(..) => Err(StepError::Unreadable("it has no method".to_owned())),
    }
}

async fn call(hub: &Hub, called: &Called, target: JobTarget) {
    let Called { job, request } = called;
    let identity = Identity {
        hub: job.hub.clone(),
        device: target.0.clone(),
        module: target.1.clone(),
    };
    let outcome = match method::invoke(hub, &identity, request).await {
        Ok(response) => DeviceOutcome::Done(serde_json::to_string(&response).ok()),
        Err(error) => {
            let error = HubError::from(error);
            DeviceOutcome::Failed(JobDeviceError {
                code: error.code().1.code(),
                text: error.outside(),
            })
        }
    };
    let ended = hub
        .registry()
        .end_job_device(job, target, outcome, hub.now());
    if let Err(error) = ended.await {
        // The device stays marked as called, and is closed with the job.
        log_failure(&error, "the outcome of a job's call was not written");
    }
}
