//! Rows of `devices.jobs`: what each job did to each device.

use ids::{HubName, Timestamp};
use serde_json::{Map, Value as Json, json};
use store::{JobDeviceRow, JobDeviceState, JobKind, JobRow, View};

use crate::error::StorageError;

/// Between the parts of a row's key: no id has it.
const BETWEEN: char = '/';

/// Jobs read at once.
const JOBS: usize = 100;

/// Rows after a key, in order, each with its key; no more when what devices answered is too long.
pub(super) fn job_rows(
    view: &View<'_>,
    hub: &HubName,
    after: &str,
    (limit, max_bytes): (usize, usize),
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
    let mut bytes = 0;
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
                bytes += row.response.as_ref().map_or(0, String::len);
                rows.push((key, job_device_document(view, job, row)?));
                if bytes >= max_bytes {
                    return Ok(rows);
                }
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

/// A row of `devices.jobs`.
pub(crate) fn job_device_document(
    view: &View<'_>,
    job: &JobRow,
    row: JobDeviceRow,
) -> Result<Json, StorageError> {
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

#[cfg(test)]
mod tests {
    use store::{
        DataDirectory, JobCounts, JobState, Lock, Store, StoreError, StoreOptions, Tx, unit,
    };

    use super::*;

    fn job(number: i64) -> JobRow {
        JobRow {
            id: 0,
            hub: HubName::parse("hub").unwrap(),
            job_id: ids::JobId::parse(&format!("j{number}")).unwrap(),
            kind: JobKind::DeviceMethod,
            state: JobState::Working,
            revision: 1,
            created: number,
            starts: 0,
            ended: None,
            lifetime: 60,
            condition: "*".to_owned(),
            work: "{}".to_owned(),
            actor: "{}".to_owned(),
            cursor: String::new(),
            failure: None,
            counts: JobCounts::default(),
        }
    }

    /// Writes jobs of one device each, which answered at length.
    fn write(tx: &Tx<'_>) -> Result<(), StoreError> {
        let device = ids::DeviceId::parse("d").unwrap();
        for number in 1..=4 {
            let job = job(number);
            tx.insert_job(&job)?;
            tx.insert_job_device(&job.hub, number, (&device, None), 1)?;
            let row = JobDeviceRow {
                job: number,
                device_id: device.clone(),
                module_id: None,
                state: JobDeviceState::Completed,
                created: 1,
                started: Some(1),
                ended: Some(1),
                response: Some(json!("x".repeat(1000)).to_string()),
                error: None,
            };
            tx.update_job_device(&job.hub, JobDeviceState::Pending, &row)?;
        }
        Ok(())
    }

    #[tokio::test]
    async fn rows_end_by_their_bytes_and_go_on_behind_them() {
        let directory = tempfile::tempdir().unwrap();
        let held = DataDirectory::lock(directory.path()).unwrap();
        let store = Store::open(held, StoreOptions::default()).unwrap();
        let unit = unit(
            (),
            |()| vec![Lock::Directory],
            |(), _| Ok::<_, StoreError>(()),
            |(), tx, ()| write(tx),
        );
        store.write(unit).await.unwrap();
        let hub = HubName::parse("hub").unwrap();
        let keys = |after: &str, limits| {
            let rows = store
                .read(|view| job_rows(view, &hub, after, limits))
                .unwrap();
            rows.into_iter().map(|(key, _)| key).collect::<Vec<_>>()
        };
        assert_eq!(keys("", (9, 1 << 20)), ["1/d/", "2/d/", "3/d/", "4/d/"]);
        assert_eq!(keys("", (9, 2000)), ["1/d/", "2/d/"]);
        assert_eq!(keys("2/d/", (9, 1)), ["3/d/"]);
        assert_eq!(keys("", (3, 1 << 20)), ["1/d/", "2/d/", "3/d/"]);
    }
}
