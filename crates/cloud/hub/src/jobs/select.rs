//! Looks for the devices of a job, a page at a time.

use ids::{DeviceId, ModuleId};
use registry::{
    Continuation, JobRecord, JobTarget, JobTargets, PageRequest, QueryError, QueryRows,
};
use serde_json::Value;

use super::run::StepError;
use crate::service::Hub;

/// Devices of one page.
const PAGE: usize = 500;

/// Adds the devices of the next page to the job.
pub(super) async fn step(hub: &Hub, job: &JobRecord) -> Result<(), StepError> {
    let targets = JobTargets::parse(&job.condition)
        .map_err(|error| StepError::Unreadable(error.to_string()))?;
    let page = PageRequest {
        after: (!job.cursor.is_empty()).then(|| Continuation::after(&job.cursor)),
        limit: PAGE,
    };
    let (registry, connections) = (hub.registry(), hub.live_connections());
    let page = registry
        .query(&job.hub, targets.query(), &connections, &page)
        .await?;
    let QueryRows::Raw(rows) = page.rows else {
        return Err(StepError::Unreadable("its rows are not ids".to_owned()));
    };
    let found = rows.iter().map(target).collect::<Result<_, _>>()?;
    let next = page.continuation.map(|next| next.key().to_owned());
    registry
        .add_job_devices(job, found, next, hub.now())
        .await?;
    Ok(())
}

fn target(row: &Value) -> Result<JobTarget, StepError> {
    let unreadable = |error: ids::IdError| StepError::Unreadable(error.to_string());
    let text = |name: &str| row[name].as_str();
    let device = DeviceId::parse(text("deviceId").unwrap_or_default()).map_err(unreadable)?;
    let module = text("moduleId").map(ModuleId::parse).transpose();
    Ok((device, module.map_err(unreadable)?))
}

impl From<QueryError> for StepError {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Storage(error) => Self::Storage(error),
            other => Self::Unreadable(other.to_string()),
        }
    }
}
