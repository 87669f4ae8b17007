//! Rows of `devices.jobs`: what each job did to each device.

use ids::{HubName, Timestamp};
use serde_json::{Map, Value as Json, json};
use store::{JobDeviceRow, JobDeviceState, JobKind, JobRow, View};

use crate::error::StorageError;

/// Between the parts of a row's key: no id has it.
const BETWEEN: char = '/';

/// Jobs read at once.
const JOBS: usize = 100;

/// Rows after a key, in order, each with its key.
pub(super) fn job_rows(
    view: &View<'_>,
    hub: &HubName,
    after: &str,
    limit: usize,
) -> Result<Vec<(String, Json)>, StorageError> {
    let mut parts = after.splitn(3, BETWEEN);
    let mut next = || parts.next().unwrap_or_default();
    let (before, mut device, mut module) = (next().parse().unwrap_or(0), next(), next());
    // The job that the page before ended in goes on.
    let mut jobs: Vec<_> = view.job_of_row(before)?.into_iter().collect();
    jobs.retain(|job| job.hub == *hub);
    let kinds = (JobKind::UpdateTwin, JobKind::DeviceMethod);
    let mut rows = Vec::new();
    let mut last = before;
    while rows.len() < limit {
        for job in &jobs {
            if job.id != before {
                (device, module) = ("", "");
            }
            let wanted = limit - rows.len();
            if wanted == 0 {
                return Ok(rows);
            }
            let page = view.job_devices_after(job.id, (device, module), wanted)?;
            for row in page.rows {
                let module = row.module_id.as_ref().map_or("", |module| module.as_str());
                let key = format!("{}{BETWEEN}{}{BETWEEN}{module}", job.id, row.device_id);
                rows.push((key, document(view, job, row)?));
            }
            if page.more {
                return Ok(rows);
            }
            last = job.id;
        }
        jobs = view.jobs_after(hub.as_str(), kinds, last, JOBS)?.rows;
        if jobs.is_empty() {
            break;
        }
    }
    Ok(rows)
}

fn document(view: &View<'_>, job: &JobRow, row: JobDeviceRow) -> Result<Json, StorageError> {
    let time = |ticks: i64| Timestamp::from_ticks(ticks).to_string();
    let status = match row.state {
        JobDeviceState::Pending => "pending",
        JobDeviceState::Running => "running",
        JobDeviceState::Completed => "completed",
        JobDeviceState::Failed => "failed",
        JobDeviceState::Cancelled => "canceled",
    };
    let kind = match job.kind {
        JobKind::UpdateTwin => "scheduleUpdateTwin",
        JobKind::DeviceMethod => "scheduleDeviceMethod",
        JobKind::Import => "import",
        JobKind::Export => "export",
    };
    let updated = row.ended.or(row.started).unwrap_or(row.created);
    let mut members = Map::new();
    let mut add = |name: &str, value: Json| drop(members.insert(name.to_owned(), value));
    add("deviceId", row.device_id.as_str().into());
    if let Some(module) = &row.module_id {
        add("moduleId", module.as_str().into());
    }
    add("jobId", job.job_id.as_str().into());
    add("jobType", kind.into());
    add("status", status.into());
    add(
        "startTimeUtc",
        row.started.map_or(Json::Null, |at| time(at).into()),
    );
    add(
        "endTimeUtc",
        row.ended.map_or(Json::Null, |at| time(at).into()),
    );
    add("createdDateTimeUtc", time(row.created).into());
    add("lastUpdatedDateTimeUtc", time(updated).into());
    if let Some(response) = &row.response {
        let response: Json = view.decoded("response", serde_json::from_str(response))?;
        add("outcome", json!({"deviceMethodResponse": response}));
    }
    if let Some(error) = &row.error {
        let code = error.code.to_string();
        add("error", json!({"code": code, "description": error.text}));
    }
    Ok(Json::Object(members))
}
