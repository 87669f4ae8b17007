//! Looks for the devices of a job, a page at a time.

use ids::Identity;
use registry::query::{Path, Scope, Value};
use registry::{
    Continuation, IdentityRecord, JobRecord, JobTarget, JobTargets, PageRequest, TwinRecord,
};

use super::run::StepError;
use crate::service::Hub;
use crate::twin_view;

/// Twins of one page.
const PAGE: usize = 500;

/// A twin as queries see it.
struct Document(serde_json::Value);

impl Scope for Document {
    fn resolve<'a>(&'a self, path: &Path) -> Value<'a> {
        Path::find(&path.segments, &self.0).into()
    }
}

/// Adds the devices of the next page to the job.
pub(super) async fn step(hub: &Hub, job: &JobRecord) -> Result<(), StepError> {
    let targets = JobTargets::parse(&job.condition)
        .map_err(|error| StepError::Unreadable(error.to_string()))?;
    let page = PageRequest {
        after: (!job.cursor.is_empty()).then(|| Continuation::after(&job.cursor)),
        limit: PAGE,
    };
    let registry = hub.registry();
    let (found, next) = if targets.are_all() && !targets.are_modules() {
        let page = registry.list_devices(&job.hub, &page).await?;
        let all = page
            .items
            .into_iter()
            .map(|device| (device.device_id, None));
        (all.collect(), page.continuation)
    } else {
        let page = match targets.are_modules() {
            true => registry.list_module_twins(&job.hub, &page).await?,
            false => registry.list_device_twins(&job.hub, &page).await?,
        };
        (
            matching(hub, job, &targets, page.items).await?,
            page.continuation,
        )
    };
    let next = next.map(|next| next.key().to_owned());
    registry
        .add_job_devices(job, found, next, hub.now())
        .await?;
    Ok(())
}

async fn matching(
    hub: &Hub,
    job: &JobRecord,
    targets: &JobTargets,
    twins: Vec<TwinRecord>,
) -> Result<Vec<JobTarget>, StepError> {
    let identities = twins
        .iter()
        .map(|record| twin_view::identity(record, &job.hub));
    let identities: Vec<Identity> = identities.collect();
    let known = hub.connection_views(identities).await?;
    let mut found = Vec::new();
    for (record, known) in twins.into_iter().zip(known) {
        let target = match &record.identity {
            IdentityRecord::Device(device) => (device.device_id.clone(), None),
            IdentityRecord::Module { module, .. } => {
                (module.device_id.clone(), Some(module.module_id.clone()))
            }
        };
        let twin = twin_view::twin(record, &job.hub, known);
        let document = serde_json::to_value(&twin).unwrap_or_default();
        if targets.matches(&Document(document)) {
            found.push(target);
        }
    }
    Ok(found)
}
