use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::mpsc;

use crate::audit::{Entry, HashChains};
use crate::sqlite::checkpoint::Checkpointer;
use crate::sqlite::job::{Job, Queued};
use crate::sqlite::lanes::{BATCH, Progress, Waiting};
use crate::sqlite::tx::{AfterCommit, Tx};
use crate::{StoreError, StoreOptions};

/// While several callers write, commits begin at least this far apart, so that many share one sync:
/// a hundred a second, whatever the number of writers. A caller who writes alone waits for nobody.
const PACE: Duration = Duration::from_millis(10);

/// How long somebody waits at most for a writer that rests between jobs of the background.
const SLICE: Duration = Duration::from_millis(1);

/// The writer: one connection, one thread. It drains what is queued into one transaction, commits,
/// calls what was to be called after the commit, and answers.
///
/// Units run one after the other in that transaction, without savepoints: a unit that refuses has
/// written nothing. Should one fail while it writes, the transaction is rolled back and the same
/// units run again, now each behind a savepoint: see `transaction.rs`.
pub(crate) struct Writer {
    pub(super) connection: Connection,
    pub(super) file: Arc<Path>,
    queue: mpsc::Receiver<Queued>,
    pub(super) waiting: Waiting,
    /// Of the current transaction, or the last one.
    pub(super) progress: Progress,
    pub(super) options: StoreOptions,
    /// Counts commits after which another enrollment group may match a device than before.
    pub(super) group_generation: Arc<AtomicU64>,
    pub(super) revocations: Arc<AtomicU64>,
    /// The heads of the audit's streams; `None` before the first commit and after one that failed.
    chains: Option<HashChains>,
    pub(super) batch: u64,
    checkpointer: Checkpointer,
}

impl Writer {
    pub(crate) fn new(
        connection: Connection,
        file: Arc<Path>,
        queue: mpsc::Receiver<Queued>,
        options: StoreOptions,
        checkpointer: Checkpointer,
    ) -> Self {
        Self {
            connection,
            file,
            queue,
            waiting: Waiting::default(),
            progress: Progress::default(),
            options,
            group_generation: Arc::default(),
            revocations: Arc::default(),
            chains: None,
            batch: 0,
            checkpointer,
        }
    }

    pub(crate) fn revocations(&self) -> Arc<AtomicU64> {
        self.revocations.clone()
    }

    pub(crate) fn group_generation(&self) -> Arc<AtomicU64> {
        self.group_generation.clone()
    }

    /// Runs until every sender is gone and the queue is empty.
    pub(crate) fn run(mut self) {
        let mut batch: Vec<Box<dyn Job>> = Vec::with_capacity(BATCH);
        let mut last: Option<Instant> = None;
        while self.wait() {
            if let Some(begun) = last {
                self.rest(begun);
            }
            self.drain_queue();
            let begun = Instant::now();
            let failure = self.commit_and_call(&mut batch).err();
            last = Some(begun);
            for job in batch.drain(..) {
                job.answer(failure.as_ref());
            }
            self.checkpointer.committed(&self.connection, &self.file);
        }
    }

    /// Waits for a job; false when none can come any more.
    fn wait(&mut self) -> bool {
        if self.waiting.is_empty()
            && let Some(job) = self.queue.blocking_recv()
        {
            self.waiting.push(job);
        }
        !self.waiting.is_empty()
    }

    /// Waits for more jobs, when the transaction before began at `begun`. Those who write wait for
    /// each other; for jobs of the background nobody waits.
    fn rest(&mut self, begun: Instant) {
        let slice = match self.progress.of_interactive() {
            0 | 1 => SLICE,
            _ => PACE,
        };
        while let Some(rest) = rest(self.progress.jobs, begun.elapsed()) {
            self.drain_queue();
            if slice == SLICE && self.waiting.is_urgent() {
                return;
            }
            std::thread::sleep(rest.min(slice));
        }
    }

    pub(super) fn drain_queue(&mut self) {
        while !self.waiting.is_full()
            && let Ok(job) = self.queue.try_recv()
        {
            self.waiting.push(job);
        }
    }

    fn commit_and_call(&mut self, batch: &mut Vec<Box<dyn Job>>) -> Result<(), StoreError> {
        let committed = self.commit(batch);
        if let Err(error) = &committed {
            tracing::error!(
                error = error as &dyn std::error::Error,
                jobs = batch.len(),
                "a commit failed"
            );
        }
        for call in committed? {
            // Watchers are guests on this thread: a panic of theirs ends there.
            let _ = catch_unwind(AssertUnwindSafe(call));
        }
        Ok(())
    }

    /// Runs what waits, as far as one transaction goes, and commits it. The jobs that ran are in
    /// `batch`, also when it fails.
    fn commit(&mut self, batch: &mut Vec<Box<dyn Job>>) -> Result<Vec<AfterCommit>, StoreError> {
        self.batch += 1;
        self.progress = Progress::default();
        let effects = match self.begin() {
            Ok(()) => self.run_batch(batch),
            Err(error) => {
                // Nobody waits for a transaction that cannot be begun.
                batch.extend(self.waiting.drain());
                Err(error)
            }
        };
        let committed = effects.and_then(|mut effects| {
            self.seal(std::mem::take(&mut effects.entries))?;
            let tx = Tx::new(&self.connection, &self.file, self.batch);
            std::mem::take(&mut effects.counts).write(&tx)?;
            std::mem::take(&mut effects.log_appends).write(&tx)?;
            self.sql("COMMIT")?;
            Ok(effects)
        });
        match committed {
            Ok(effects) => {
                if effects.bumps_group_generation {
                    self.group_generation.fetch_add(1, Ordering::Release);
                }
                if effects.bumps_revocations {
                    self.revocations.fetch_add(1, Ordering::Release);
                }
                Ok(effects.after)
            }
            Err(error) => {
                // They may stand beyond what is in the file.
                self.chains = None;
                self.end()?;
                Err(error)
            }
        }
    }

    fn begin(&self) -> Result<(), StoreError> {
        // One that could not be rolled back before would be in the way for ever.
        self.end()?;
        self.sql("BEGIN IMMEDIATE")
    }

    /// Rolls back the transaction, if there still is one; SQLite itself ends it on some errors.
    pub(super) fn end(&self) -> Result<(), StoreError> {
        match self.connection.is_autocommit() {
            true => Ok(()),
            false => self.sql("ROLLBACK"),
        }
    }

    /// Chains what the units entered into the audit.
    fn seal(&mut self, entries: Vec<Entry>) -> Result<(), StoreError> {
        if entries.is_empty() {
            return Ok(());
        }
        let tx = Tx::new(&self.connection, &self.file, self.batch);
        let mut chains = match self.chains.take() {
            Some(chains) => chains,
            None => HashChains::load(&tx, self.options.audit)?,
        };
        chains.seal(&tx, entries)?;
        self.chains = Some(chains);
        Ok(())
    }

    pub(super) fn sql(&self, sql: &'static str) -> Result<(), StoreError> {
        let run = || self.connection.prepare_cached(sql)?.execute([]).map(drop);
        run().map_err(|error| StoreError::sql("writing", &self.file, error))
    }
}

/// How long the writer waits for more jobs before the next commit, when the one before began
/// `since` ago with so many jobs.
fn rest(jobs: usize, since: Duration) -> Option<Duration> {
    match jobs {
        0 | 1 => None,
        _ => PACE.checked_sub(since),
    }
}

#[cfg(test)]
mod tests;
