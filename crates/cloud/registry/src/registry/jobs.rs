//! Jobs: written, read, cancelled, forgotten. What they do is in `jobs/`.

mod advance;
mod devices;
mod update_twin;

use std::time::Duration;

use ids::{DeviceId, HubName, JobId, ModuleId, Timestamp};
use serde_json::{Value, json};
use store::{JobCounts, JobKind, JobRow, JobState, Lock, StoreError, View, unit};

pub use update_twin::{JobTwinUpdate, UpdateFault};

use super::Registry;
use super::act::Act;
use super::audited::Particulars;
use crate::actor::Actor;
use crate::change::Change;
use crate::error::StorageError;
use crate::job::{JobDraft, JobError, JobRecord, OpenJob};
use crate::limits::MAX_OPEN_JOBS;
use crate::page::{Continuation, Page, PageRequest};

/// How long jobs are kept after their end.
pub const JOB_HISTORY: Duration = Duration::from_secs(30 * 24 * 3600);
/// Devices that one transaction adds, closes or deletes.
const BATCH: usize = 500;

/// A device or module of a job.
pub type JobTarget = (DeviceId, Option<ModuleId>);

impl Registry {
    pub async fn create_job(
        &self,
        hub: &HubName,
        draft: JobDraft,
        now: Timestamp,
    ) -> Result<JobRecord, JobError> {
        let target = format!("{hub}/{}", draft.id);
        let row = JobRow {
            id: 0,
            hub: hub.clone(),
            job_id: draft.id,
            kind: draft.kind,
            state: JobState::Scheduled,
            revision: 0,
            created: now.ticks(),
            starts: draft.starts.ticks(),
            ended: None,
            lifetime: draft.lifetime,
            condition: draft.condition,
            work: draft.work,
            actor: self
                .actor
                .as_deref()
                .map_or(Value::Null, actor_json)
                .to_string(),
            cursor: String::new(),
            failure: None,
            counts: JobCounts::default(),
        };
        let id = row.job_id.clone();
        let watchers = self.inner.watchers.clone();
        let create = unit(
            row,
            |row| vec![lock(&row.hub)],
            |row, view| {
                if view.job(row.hub.as_str(), row.job_id.as_str())?.is_some() {
                    return Err(JobError::Exists(row.job_id.clone()));
                }
                match view.count_open_jobs(row.hub.as_str())? < MAX_OPEN_JOBS {
                    true => Ok(()),
                    false => Err(JobError::TooMany),
                }
            },
            move |row, tx, ()| {
                tx.insert_job(row)?;
                let hub = row.hub.clone();
                watchers.tell(tx, Change::Jobs { hub });
                let particulars = particulars(tx, row)?;
                Ok(((), particulars))
            },
        );
        self.act_with_particulars(Act::CreateJob, target, create)
            .await?;
        self.job(hub, &id).await
    }

    pub async fn job(&self, hub: &HubName, id: &JobId) -> Result<JobRecord, JobError> {
        let (hub, id) = (hub.clone(), id.clone());
        let read = move |view: &View<'_>| match view.job(hub.as_str(), id.as_str())? {
            Some(row) => Ok(record(view, row)?),
            None => Err(JobError::NotFound(id)),
        };
        self.inner.store.scan(read).await
    }

    /// Jobs of one of two kinds, the oldest first.
    pub async fn list_jobs(
        &self,
        hub: &HubName,
        kinds: (JobKind, JobKind),
        page: &PageRequest,
    ) -> Result<Page<JobRecord>, StorageError> {
        let (hub, limit) = (hub.clone(), page.limit());
        let after = page.key().parse().unwrap_or_default();
        let read = move |view: &View<'_>| {
            let found = view.jobs_after(hub.as_str(), kinds, after, limit)?;
            let end = |row: &JobRow| Continuation::after(&row.id.to_string());
            let page = Page::of(found.rows, found.more, end);
            page.try_keep(|row| record(view, row).map(Some))
        };
        self.inner.store.scan(read).await
    }

    /// Cancels a job: devices that it has not worked on are left as they are.
    pub async fn cancel_job(
        &self,
        hub: &HubName,
        id: &JobId,
        now: Timestamp,
    ) -> Result<JobRecord, JobError> {
        let target = format!("{hub}/{id}");
        let watchers = self.inner.watchers.clone();
        let cancel = unit(
            (hub.clone(), id.clone()),
            |(hub, _)| vec![lock(hub)],
            |(hub, id), view| {
                let row = view.job(hub.as_str(), id.as_str())?;
                let row = row.ok_or_else(|| JobError::NotFound(id.clone()))?;
                match row.state {
                    JobState::Completed | JobState::Failed => Err(JobError::Ended(id.clone())),
                    _ => Ok(row),
                }
            },
            move |(hub, _), tx, mut row| {
                match row.state {
                    JobState::Scheduled => {
                        row.state = JobState::Cancelled;
                        row.ended = Some(now.ticks());
                    }
                    JobState::Selecting | JobState::Working => row.state = JobState::Cancelling,
                    _ => return Ok(()),
                }
                row.revision += 1;
                tx.update_job(&row)?;
                let hub = hub.clone();
                watchers.tell(tx, Change::Jobs { hub });
                Ok(())
            },
        );
        self.act(Act::CancelJob, target, cancel).await?;
        self.job(hub, id).await
    }

    /// Jobs that have not ended, of all hubs, in the order of their start.
    pub fn open_jobs(&self) -> Result<Vec<OpenJob>, StorageError> {
        let read = |view: &View<'_>| Ok::<_, StorageError>(view.open_jobs()?);
        let rows = self.inner.store.read(read)?;
        Ok(rows.into_iter().map(OpenJob::new).collect())
    }

    /// Forgets a part of the oldest job that ended before [`JOB_HISTORY`]; whether there was one.
    pub async fn forget_jobs(&self, now: Timestamp) -> Result<bool, StorageError> {
        let before = now.minus(JOB_HISTORY).ticks();
        let find = |view: &View<'_>| Ok::<_, StorageError>(view.job_ended_before(before)?);
        let Some(job) = self.inner.store.read(find)? else {
            return Ok(false);
        };
        let forget = unit(
            job,
            |job| {
                vec![Lock::Hub {
                    hub: job.hub.as_str(),
                }]
            },
            |_, _| Ok::<_, StorageError>(()),
            |job, tx, ()| {
                if tx.delete_job_devices(&job.hub, job.id, BATCH)? < BATCH {
                    tx.delete_job(job)?;
                }
                Ok(())
            },
        );
        self.inner.store.write_in_background(forget).await?;
        Ok(true)
    }
}

fn lock(hub: &HubName) -> Lock<'_> {
    Lock::Jobs { hub: hub.as_str() }
}

/// What the audit says of a new job.
fn particulars(view: &View<'_>, row: &JobRow) -> Result<Particulars, StoreError> {
    let mut particulars = Particulars::new();
    if !row.condition.is_empty() {
        particulars.insert("queryCondition".to_owned(), json!(row.condition));
    }
    if matches!(row.kind, JobKind::Import | JobKind::Export) {
        // Whether keys are exported, and where to.
        let work: Value = view.decoded("work", serde_json::from_str(&row.work))?;
        particulars.insert("transfer".to_owned(), work);
    }
    Ok(particulars)
}

fn actor_json(actor: &Actor) -> Value {
    json!({ "policy": actor.policy, "requestId": actor.request_id, "address": actor.address })
}

/// A job with its devices counted.
fn record(view: &View<'_>, row: JobRow) -> Result<JobRecord, StorageError> {
    let counts = match row.ended {
        Some(_) => row.counts,
        None => view.count_job_devices(row.id)?,
    };
    Ok(JobRecord::new(row, counts))
}
