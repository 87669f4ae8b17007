//! `/jobs/v2`: twin updates and direct methods on many devices.

use ids::JobId;
use registry::{
    Continuation, IfMatch, JobDraft, JobKind, JobRecord, JobTargets, PageRequest, QueryError, Right,
};
use rest::{Reply, get, post, put};
use wire::http::{CONTINUATION, MAX_ITEM_COUNT};
use wire::service_api::job::{JobRequest, JobResponse, JobStatus, JobType, JobWork};

use super::access::Access;
use super::{Call, MAX_PAGE, Route, acting, require_same};
use crate::error::HubError;
use crate::jobs::view;

/// Jobs of a page when the caller does not say.
const USUAL_PAGE: usize = 100;
const KINDS: (JobKind, JobKind) = (JobKind::UpdateTwin, JobKind::DeviceMethod);

pub(super) fn routes() -> Vec<Route> {
    let access = Access::AnyOf(&[Right::ServiceConnect]);
    vec![
        get("/jobs/v2/query", access, list),
        put("/jobs/v2/{job}", access, create),
        get("/jobs/v2/{job}", access, read),
        post("/jobs/v2/{job}/cancel", access, cancel),
    ]
}

async fn create(call: Call, id: JobId) -> Result<Reply, HubError> {
    let request = JobRequest::parse(&call.body)?;
    let named = request.job_id.as_ref().map(JobId::as_str);
    require_same("jobId", id.as_str(), named)?;
    // What no device could get is refused now.
    let kind = match request.work {
        JobWork::Method(method) => {
            crate::messages::method::require_sendable(&method)?;
            JobKind::DeviceMethod
        }
        JobWork::Twin(change, _) => {
            crate::jobs::checked_update(change, IfMatch::Any)?;
            JobKind::UpdateTwin
        }
    };
    JobTargets::parse(&request.condition).map_err(registry::JobError::from)?;
    let (hub, now) = (call.permit.hub(), call.service.now());
    let draft = JobDraft {
        id,
        kind,
        condition: request.condition,
        work: request.work_text,
        starts: request.start.unwrap_or(now),
        lifetime: request.lifetime,
    };
    let job = acting(&call).create_job(hub, draft, now).await?;
    tracing::info!(hub.name = %hub, job.id = %job.id, "job created");
    Ok(reply(&call, job))
}

async fn read(call: Call, id: JobId) -> Result<Reply, HubError> {
    let job = require_scheduled(&call, &id).await?;
    Ok(reply(&call, job))
}

/// Imports and exports have an API of their own.
async fn require_scheduled(call: &Call, id: &JobId) -> Result<JobRecord, HubError> {
    let job = call.service.registry().job(call.permit.hub(), id).await?;
    match job.is_transfer() {
        false => Ok(job),
        true => Err(registry::JobError::NotFound(id.clone()).into()),
    }
}

async fn cancel(call: Call, id: JobId) -> Result<Reply, HubError> {
    require_scheduled(&call, &id).await?;
    let (hub, now) = (call.permit.hub(), call.service.now());
    let job = acting(&call).cancel_job(hub, &id, now).await?;
    tracing::info!(hub.name = %hub, job.id = %id, "job cancelled");
    Ok(reply(&call, job))
}

/// A page may be short and still have a continuation: filters apply to what was read for it.
async fn list(call: Call) -> Result<Reply, HubError> {
    let kind = named(&call, "jobType", JobType::parse)?;
    let status = named(&call, "jobStatus", JobStatus::parse)?;
    let after = wire::http::continuation(call.header(CONTINUATION));
    let after = after.map(Continuation::parse).transpose();
    let page = PageRequest {
        after: after.map_err(QueryError::from)?,
        limit: wire::http::page_size(call.header(MAX_ITEM_COUNT), USUAL_PAGE, MAX_PAGE),
    };
    let (registry, now) = (call.service.registry(), call.service.now());
    let page = registry.list_jobs(call.permit.hub(), KINDS, &page).await?;
    let wanted = |job: &JobRecord| {
        kind.is_none_or(|kind| view::kind(job.kind) == kind)
            && status.is_none_or(|status| view::status(job, now) == status)
    };
    let jobs = page.items.into_iter().filter(wanted);
    let jobs: Vec<JobResponse> = jobs.map(|job| view::job(job, now)).collect();
    Ok(Reply::page(
        &jobs,
        "jobResponse",
        page.continuation.as_ref(),
    ))
}

/// A filter of the query string.
fn named<T>(
    call: &Call,
    name: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, HubError> {
    let Some(text) = call.query(name).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    match parse(&text) {
        Some(value) => Ok(Some(value)),
        None => Err(HubError::Bad(format!("{name}: {text:?} is not known"))),
    }
}

fn reply(call: &Call, job: JobRecord) -> Reply {
    Reply::json(&view::job(job, call.service.now()))
}
