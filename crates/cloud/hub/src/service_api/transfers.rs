//! `/jobs`: imports and exports of device identities.

use ids::{HubHost, JobId};
use registry::{Continuation, JobDraft, JobError, JobKind, JobRecord, PageRequest, Right};
use rest::{Reply, delete, get, post};
use wire::service_api::transfer_job::{Container, Transfer, TransferResponse};

use super::access::Access;
use super::{Call, MAX_PAGE, Route, acting, json};
use crate::error::HubError;
use crate::jobs::view;

const KINDS: (JobKind, JobKind) = (JobKind::Import, JobKind::Export);
/// As long as jobs are kept, in seconds: a large file takes its time.
const LIFETIME: u32 = 30 * 24 * 3600;

pub(super) fn routes() -> Vec<Route> {
    let reads = Access::AnyOf(&[Right::RegistryRead, Right::RegistryWrite]);
    // An export has keys, if it does not leave them out.
    let writes = Access::AnyOf(&[Right::RegistryWrite]);
    vec![
        post("/jobs/create", writes, create),
        get("/jobs", reads, list),
        get("/jobs/{job}", reads, read),
        delete("/jobs/{job}", writes, cancel),
    ]
}

async fn create(call: Call) -> Result<Reply, HubError> {
    let transfer = Transfer::parse(&json(&call)?)?;
    let (hub, now) = (call.permit.hub(), call.service.now());
    for container in transfer.containers() {
        require_own(&call, container)?;
    }
    let id = JobId::parse(&rest::fresh_guid().to_string());
    let draft = JobDraft {
        id: id.map_err(rest::RequestError::from)?,
        kind: match transfer {
            Transfer::Import { .. } => JobKind::Import,
            Transfer::Export { .. } => JobKind::Export,
        },
        condition: String::new(),
        work: serde_json::Value::Object(transfer.to_json()).to_string(),
        starts: now,
        lifetime: LIFETIME,
    };
    let job = acting(&call).create_job(hub, draft, now).await?;
    tracing::info!(hub.name = %hub, job.id = %job.id, "job created");
    Ok(Reply::json(&view::transfer(job)))
}

/// Containers are folders of this hub.
fn require_own(call: &Call, container: &Container) -> Result<(), HubError> {
    let hubs = call.service.registry().hubs();
    let named = HubHost::parse(&container.host);
    let named = named.ok().and_then(|host| hubs.hub_at(&host).cloned());
    match named.is_some_and(|hub| hub.name == *call.permit.hub()) {
        true => Ok(()),
        false => Err(HubError::Bad(format!(
            "the container {} is not of this hub: its address begins with the host name of the \
             hub, and it is a folder of the server",
            container.address()
        ))),
    }
}

async fn list(call: Call) -> Result<Reply, HubError> {
    let (registry, hub) = (call.service.registry(), call.permit.hub());
    let mut jobs: Vec<TransferResponse> = Vec::new();
    let mut after: Option<Continuation> = None;
    // Azure's answer has no pages.
    while jobs.len() < MAX_PAGE {
        let page = PageRequest {
            after,
            limit: MAX_PAGE - jobs.len(),
        };
        let page = registry.list_jobs(hub, KINDS, &page).await?;
        jobs.extend(page.items.into_iter().map(view::transfer));
        after = page.continuation;
        if after.is_none() {
            break;
        }
    }
    Ok(Reply::json(&jobs))
}

async fn read(call: Call, id: JobId) -> Result<Reply, HubError> {
    let job = transfer_of(&call, id).await?;
    Ok(Reply::json(&view::transfer(job)))
}

async fn cancel(call: Call, id: JobId) -> Result<Reply, HubError> {
    let job = transfer_of(&call, id).await?;
    let (hub, now) = (call.permit.hub(), call.service.now());
    acting(&call).cancel_job(hub, &job.id, now).await?;
    tracing::info!(hub.name = %hub, job.id = %job.id, "job cancelled");
    Ok(Reply::no_content())
}

/// Other jobs have an API of their own.
async fn transfer_of(call: &Call, id: JobId) -> Result<JobRecord, HubError> {
    let job = call.service.registry().job(call.permit.hub(), &id).await?;
    match job.is_transfer() {
        true => Ok(job),
        false => Err(JobError::NotFound(id).into()),
    }
}
