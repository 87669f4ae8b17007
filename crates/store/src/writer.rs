use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::StoreError;
use crate::connection::{AfterCommit, Tx};

/// Most jobs of one transaction; what arrives meanwhile waits for the next.
const GROUP: usize = 512;

/// Commits begin at least this far apart, so that under load many callers share one sync, and a lone one waits for nobody.
/// It bounds what a burst of small writes costs: 200 syncs a second, whatever the number of writers.
const PACE: Duration = Duration::from_millis(5);

/// A job on its way to the writer.
pub(crate) trait Job: Send {
    /// Runs inside the transaction; returns whether its writes shall be kept, and what to call after the commit.
    fn run(&mut self, connection: &Connection, file: &Arc<Path>) -> (bool, Vec<AfterCommit>);
    /// Answers the caller, after the commit or its failure.
    fn answer(self: Box<Self>, failure: Option<&StoreError>);
}

/// A job with the place for its result and the caller who waits for it.
pub(crate) struct Pending<F, T, E> {
    work: Option<F>,
    outcome: Option<Result<T, E>>,
    caller: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Pending<F, T, E> {
    pub(crate) fn new(work: F, caller: oneshot::Sender<Result<T, E>>) -> Self {
        Self {
            work: Some(work),
            outcome: None,
            caller,
        }
    }
}

impl<F, T, E> Job for Pending<F, T, E>
where
    F: FnOnce(&Tx<'_>) -> Result<T, E> + Send,
    T: Send,
    E: From<StoreError> + Send,
{
    fn run(&mut self, connection: &Connection, file: &Arc<Path>) -> (bool, Vec<AfterCommit>) {
        let Some(work) = self.work.take() else {
            return (false, Vec::new());
        };
        let tx = Tx::new(connection, file);
        // A panic in one job must not end the writer, and with it the server.
        let outcome = catch_unwind(AssertUnwindSafe(|| work(&tx))).unwrap_or_else(|_| {
            Err(StoreError::words("writing", file, "the operation panicked").into())
        });
        let kept = outcome.is_ok();
        self.outcome = Some(outcome);
        (kept, tx.into_after_commit())
    }

    fn answer(self: Box<Self>, failure: Option<&StoreError>) {
        let outcome = match (failure, self.outcome) {
            // Also a refusal may rest on what a neighbour wrote, so nothing of a failed group is told.
            (Some(failure), _) => Err(failure.clone().into()),
            (None, Some(outcome)) => outcome,
            (None, None) => return,
        };
        // A caller that went away no longer needs the answer; the write stands.
        let _ = self.caller.send(outcome);
    }
}

/// The writer: one connection, one thread. Drains what is queued into one transaction, commits, tells, answers.
pub(crate) struct Writer {
    pub(crate) connection: Connection,
    pub(crate) file: Arc<Path>,
    pub(crate) queue: mpsc::Receiver<Box<dyn Job>>,
}

impl Writer {
    /// Runs until every sender is gone and the queue is empty.
    pub(crate) fn run(mut self) {
        let mut group: Vec<Box<dyn Job>> = Vec::with_capacity(GROUP);
        let mut last_begun: Option<Instant> = None;
        while self.queue.blocking_recv_many(&mut group, GROUP) > 0 {
            if let Some(rest) = last_begun.and_then(|begun| PACE.checked_sub(begun.elapsed())) {
                std::thread::sleep(rest);
                self.take_what_waits(&mut group);
            }
            last_begun = Some(Instant::now());
            let committed = self.commit(&mut group);
            let failure = match committed {
                Ok(tell) => {
                    for tell in tell {
                        // Watchers are guests on this thread: a panic of theirs ends there.
                        let _ = catch_unwind(AssertUnwindSafe(tell));
                    }
                    None
                }
                Err(error) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        jobs = group.len(),
                        "a commit failed"
                    );
                    Some(error)
                }
            };
            for job in group.drain(..) {
                job.answer(failure.as_ref());
            }
        }
    }

    fn take_what_waits(&mut self, group: &mut Vec<Box<dyn Job>>) {
        while group.len() < GROUP
            && let Ok(job) = self.queue.try_recv()
        {
            group.push(job);
        }
    }

    fn commit(&self, group: &mut [Box<dyn Job>]) -> Result<Vec<AfterCommit>, StoreError> {
        self.sql("BEGIN IMMEDIATE")?;
        let mut tell = Vec::new();
        let run = group
            .iter_mut()
            .try_for_each(|job| self.savepoint(job.as_mut(), &mut tell));
        match run.and_then(|()| self.sql("COMMIT")) {
            Ok(()) => Ok(tell),
            Err(error) => {
                // After a failed commit the transaction may still be open; SQLite itself ends it on some errors.
                if !self.connection.is_autocommit() {
                    self.sql("ROLLBACK")?;
                }
                Err(error)
            }
        }
    }

    /// Runs one job so that its failure leaves its neighbours' writes alone.
    fn savepoint(&self, job: &mut dyn Job, tell: &mut Vec<AfterCommit>) -> Result<(), StoreError> {
        self.sql("SAVEPOINT job")?;
        let (kept, after) = job.run(&self.connection, &self.file);
        if self.connection.is_autocommit() {
            let cause = "the transaction was ended by an error of the disk";
            return Err(StoreError::words("writing", &self.file, cause));
        }
        if kept {
            tell.extend(after);
        } else {
            self.sql("ROLLBACK TO job")?;
        }
        self.sql("RELEASE job")
    }

    fn sql(&self, sql: &'static str) -> Result<(), StoreError> {
        let run = || self.connection.prepare_cached(sql)?.execute([]).map(drop);
        run().map_err(|error| StoreError::sql("writing", &self.file, error))
    }
}
