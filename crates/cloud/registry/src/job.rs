//! Jobs of a hub: a twin update or a direct method on many devices, and imports and exports.

mod step;
mod targets;
mod transfer_cursor;

use ids::{HubName, JobId, Timestamp};
use store::{JobRow, OpenJobRow};

pub use step::{JobProgress, JobStep, next_step};
pub use store::{JobCounts, JobDeviceError, JobDeviceState, JobKind, JobState};
pub use targets::{JobTargets, TargetsError};
pub use transfer_cursor::TransferCursor;

use crate::actor::Actor;
use crate::error::StorageError;

/// A job that an operator asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobDraft {
    pub id: JobId,
    pub kind: JobKind,
    /// Which devices, as it was sent; empty for imports and exports.
    pub condition: String,
    /// What is done, JSON as it was sent.
    pub work: String,
    /// When it may begin.
    pub starts: Timestamp,
    /// Seconds that it may take.
    pub lifetime: u32,
}

/// A job as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRecord {
    /// Names its row.
    pub row: i64,
    pub hub: HubName,
    pub id: JobId,
    pub kind: JobKind,
    pub state: JobState,
    pub created: Timestamp,
    /// When it may begin.
    pub starts: Timestamp,
    pub ended: Option<Timestamp>,
    /// Seconds that it may take.
    pub lifetime: u32,
    pub condition: String,
    /// What is done, JSON as it was sent.
    pub work: String,
    /// The operator on whose behalf it runs, JSON.
    pub(crate) actor: String,
    /// How far it is; of imports and exports a [`TransferCursor`].
    pub cursor: String,
    /// Why it failed.
    pub failure: Option<String>,
    pub counts: JobCounts,
}

impl JobRecord {
    pub(crate) fn new(row: JobRow, counts: JobCounts) -> Self {
        Self {
            row: row.id,
            hub: row.hub,
            id: row.job_id,
            kind: row.kind,
            state: row.state,
            created: Timestamp::from_ticks(row.created),
            starts: Timestamp::from_ticks(row.starts),
            ended: row.ended.map(Timestamp::from_ticks),
            lifetime: row.lifetime,
            condition: row.condition,
            work: row.work,
            actor: row.actor,
            cursor: row.cursor,
            failure: row.failure,
            counts,
        }
    }

    /// The operator on whose behalf it runs.
    #[must_use]
    pub fn actor(&self, now: Timestamp) -> Option<Actor> {
        let stored: serde_json::Value = serde_json::from_str(&self.actor).ok()?;
        let text = |name: &str| stored[name].as_str();
        Some(Actor {
            policy: text("policy")?.to_owned(),
            request_id: text("requestId")?.to_owned(),
            address: text("address").and_then(|address| address.parse().ok()),
            at: now,
        })
    }

    /// Whether it is an import or export.
    #[must_use]
    pub fn is_transfer(&self) -> bool {
        matches!(self.kind, JobKind::Import | JobKind::Export)
    }

    /// When it must have ended. The time before it could begin does not count.
    #[must_use]
    pub fn deadline(&self) -> Timestamp {
        let lifetime = std::time::Duration::from_secs(self.lifetime.into());
        self.starts.max(self.created).plus(lifetime)
    }
}

/// A job that has not ended, as the scheduler looks at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenJob {
    /// Names its row.
    pub row: i64,
    pub hub: HubName,
    pub kind: JobKind,
    pub state: JobState,
    /// When it may begin.
    pub starts: Timestamp,
}

impl OpenJob {
    pub(crate) fn new(row: OpenJobRow) -> Self {
        Self {
            row: row.id,
            hub: row.hub,
            kind: row.kind,
            state: row.state,
            starts: Timestamp::from_ticks(row.starts),
        }
    }
}

/// What became of a device of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceOutcome {
    /// With the answer to a direct method, JSON.
    Done(Option<String>),
    Failed(JobDeviceError),
}

/// Why a job was not written or read.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The hub answers 404002.
    #[error("job {0} does not exist")]
    NotFound(JobId),
    #[error("job {0} exists already; every job has an id of its own")]
    Exists(JobId),
    #[error("job {0} has ended and cannot be cancelled")]
    Ended(JobId),
    /// The hub answers 403003.
    #[error("the hub has {limit} jobs that have not ended", limit = crate::limits::MAX_OPEN_JOBS)]
    TooMany,
    #[error(transparent)]
    Targets(#[from] TargetsError),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<store::StoreError> for JobError {
    fn from(error: store::StoreError) -> Self {
        Self::Storage(error.into())
    }
}
