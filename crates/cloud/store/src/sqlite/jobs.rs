use ids::HubName;
use rusqlite::{Row, params};

use crate::sqlite::decode;
use crate::{
    JobCounts, JobKind, JobRow, JobState, Lock, OpenJobRow, PageRows, StoreError, Tx, View,
};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, hub, job_id, kind, state, revision, created, starts, ended, lifetime,
                    condition, work, actor, cursor, failure, succeeded, failed, cancelled
             FROM jobs ",
            $rest
        )
    };
}

fn read(row: &Row<'_>) -> rusqlite::Result<JobRow> {
    Ok(JobRow {
        id: row.get(0)?,
        hub: decode::id(row, 1, "hub")?,
        job_id: decode::id(row, 2, "job id")?,
        kind: decode::named(row, 3, "kind of a job", JobKind::named)?,
        state: decode::named(row, 4, "state of a job", JobState::named)?,
        revision: row.get(5)?,
        created: row.get(6)?,
        starts: row.get(7)?,
        ended: row.get(8)?,
        lifetime: row.get(9)?,
        condition: row.get(10)?,
        work: row.get(11)?,
        actor: row.get(12)?,
        cursor: row.get(13)?,
        failure: row.get(14)?,
        counts: JobCounts {
            succeeded: row.get(15)?,
            failed: row.get(16)?,
            cancelled: row.get(17)?,
            ..JobCounts::default()
        },
    })
}

/// How long the documents of a job are.
fn bytes(row: &JobRow) -> usize {
    row.work.len() + row.condition.len()
}

impl View<'_> {
    pub fn job(&self, hub: &str, job_id: &str) -> Result<Option<JobRow>, StoreError> {
        let sql = select!("WHERE hub = ?1 AND job_id = ?2");
        self.one(sql, [hub, job_id], read)
    }

    pub fn job_of_row(&self, id: i64) -> Result<Option<JobRow>, StoreError> {
        self.one(select!("WHERE id = ?1"), [id], read)
    }

    /// Jobs that have not ended, of all hubs, in the order of their start.
    pub fn open_jobs(&self) -> Result<Vec<OpenJobRow>, StoreError> {
        let sql = "SELECT id, hub, kind, state, starts FROM jobs WHERE ended IS NULL
                   ORDER BY starts, id";
        self.all(sql, [], |row| {
            Ok(OpenJobRow {
                id: row.get(0)?,
                hub: decode::id(row, 1, "hub")?,
                kind: decode::named(row, 2, "kind of a job", JobKind::named)?,
                state: decode::named(row, 3, "state of a job", JobState::named)?,
                starts: row.get(4)?,
            })
        })
    }

    /// How many jobs of a hub have not ended.
    pub fn count_open_jobs(&self, hub: &str) -> Result<usize, StoreError> {
        let sql = "SELECT count(*) FROM jobs WHERE hub = ?1 AND ended IS NULL";
        let count: Option<usize> = self.one(sql, [hub], |row| row.get(0))?;
        Ok(count.unwrap_or_default())
    }

    /// Whether a hub has an import or export that has not ended.
    pub fn has_open_transfer(&self, hub: &HubName) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM jobs WHERE hub = ?1 AND ended IS NULL AND kind IN (?2, ?3)
                   LIMIT 1";
        let (import, export) = (JobKind::Import.name(), JobKind::Export.name());
        let found: Option<i64> =
            self.one(sql, params![hub.as_str(), import, export], |row| row.get(0))?;
        Ok(found.is_some())
    }

    /// Jobs of a hub of one of two kinds after a row, the oldest first.
    pub fn jobs_after(
        &self,
        hub: &str,
        (one, other): (JobKind, JobKind),
        after: i64,
        limit: usize,
    ) -> Result<PageRows<JobRow>, StoreError> {
        let sql = select!("WHERE hub = ?1 AND id > ?2 AND kind IN (?3, ?4) ORDER BY id LIMIT ?5");
        let values = params![hub, after, one.name(), other.name(), limit + 1];
        self.page(sql, values, limit, read, bytes)
    }

    /// The job that ended longest ago, if it was before a time.
    pub fn job_ended_before(&self, time: i64) -> Result<Option<JobRow>, StoreError> {
        let sql = select!("WHERE ended < ?1 ORDER BY ended LIMIT 1");
        self.one(sql, [time], read)
    }
}

impl Tx<'_> {
    pub fn insert_job(&self, row: &JobRow) -> Result<(), StoreError> {
        let sql = "INSERT INTO jobs (hub, job_id, kind, state, revision, created, starts, ended,
                       lifetime, condition, work, actor, cursor, failure, succeeded, failed,
                       cancelled)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16,
                       ?17)";
        let counts = row.counts;
        #[rustfmt::skip]
        let values = params![
            row.hub.as_str(), row.job_id.as_str(), row.kind.name(), row.state.name(),
            row.revision, row.created, row.starts, row.ended, row.lifetime, row.condition,
            row.work, row.actor, row.cursor, row.failure, counts.succeeded, counts.failed,
            counts.cancelled,
        ];
        self.write(lock(&row.hub), sql, values).map(drop)
    }

    /// Writes what changes of a job: `row` has the next revision.
    pub fn update_job(&self, row: &JobRow) -> Result<(), StoreError> {
        let sql = "UPDATE jobs SET state = ?3, revision = ?2, ended = ?4, cursor = ?5,
                       failure = ?6, succeeded = ?7, failed = ?8, cancelled = ?9
                   WHERE id = ?1 AND revision = ?2 - 1";
        let counts = row.counts;
        #[rustfmt::skip]
        let values = params![
            row.id, row.revision, row.state.name(), row.ended, row.cursor, row.failure,
            counts.succeeded, counts.failed, counts.cancelled,
        ];
        self.write_version(lock(&row.hub), sql, values)
    }

    /// Deletes a job whose devices are deleted.
    pub fn delete_job(&self, row: &JobRow) -> Result<(), StoreError> {
        let sql = "DELETE FROM jobs WHERE id = ?1 AND revision = ?2";
        self.write_version(lock(&row.hub), sql, [row.id, row.revision])
    }
}

fn lock(hub: &HubName) -> Lock<'_> {
    Lock::Jobs { hub: hub.as_str() }
}
