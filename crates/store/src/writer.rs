use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::StoreError;
use crate::audit::{AuditLimits, Chains, Entry};
use crate::connection::{AfterCommit, Leftover, Tx};

/// Most jobs of one transaction; what arrives meanwhile waits for the next.
const GROUP: usize = 512;

/// While several callers write, commits begin at least this far apart, so that many share one sync: a hundred a second, whatever
/// the number of writers. A caller who writes alone waits for nobody.
const PACE: Duration = Duration::from_millis(10);

/// A job on its way to the writer.
pub(crate) trait Job: Send {
    /// Runs inside the transaction.
    fn run(&mut self, connection: &Connection, file: &Arc<Path>) -> Ran;
    /// Answers the caller, after the commit or its failure.
    fn answer(self: Box<Self>, failure: Option<&StoreError>);
}

/// What a job did.
#[derive(Default)]
pub(crate) struct Ran {
    /// Whether it succeeded, so that its writes shall be kept.
    kept: bool,
    /// Whether it wrote anything.
    wrote: bool,
    /// Whether a savepoint stands before what it wrote.
    guarded: bool,
    /// What it leaves for the end of the transaction.
    left: Leftover,
}

/// A job with the place for its result and the caller who waits for it.
pub(crate) struct Pending<F, T, E> {
    work: Option<F>,
    may_turn_back: bool,
    outcome: Option<Result<T, E>>,
    caller: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Pending<F, T, E> {
    pub(crate) fn new(work: F, may_turn_back: bool, caller: oneshot::Sender<Result<T, E>>) -> Self {
        Self {
            work: Some(work),
            may_turn_back,
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
    fn run(&mut self, connection: &Connection, file: &Arc<Path>) -> Ran {
        let Some(work) = self.work.take() else {
            return Ran::default();
        };
        let tx = Tx::new(connection, file);
        // A panic in one job must not end the writer, and with it the server.
        let run = || {
            if self.may_turn_back {
                tx.may_turn_back()?;
            }
            work(&tx)
        };
        let outcome = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
            Err(StoreError::words("writing", file, "the operation panicked").into())
        });
        let kept = outcome.is_ok();
        self.outcome = Some(outcome);
        let (wrote, guarded, left) = tx.into_parts();
        Ran {
            kept,
            wrote,
            guarded,
            left,
        }
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
    pub(crate) limits: AuditLimits,
    /// Counts commits after which another group may let a device in than before.
    pub(crate) regroupings: Arc<AtomicU64>,
    /// Where the audit stands; `None` before the first commit and after one that failed.
    pub(crate) chains: Option<Chains>,
}

impl Writer {
    /// Runs until every sender is gone and the queue is empty.
    pub(crate) fn run(mut self) {
        let mut group: Vec<Box<dyn Job>> = Vec::with_capacity(GROUP);
        let mut last: Option<(Instant, usize)> = None;
        while self.queue.blocking_recv_many(&mut group, GROUP) > 0 {
            let rest = last.and_then(|(begun, jobs)| rest(jobs, begun.elapsed()));
            if let Some(rest) = rest {
                std::thread::sleep(rest);
                self.take_what_waits(&mut group);
            }
            last = Some((Instant::now(), group.len()));
            let failure = match self.commit(&mut group) {
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

    fn commit(&mut self, group: &mut [Box<dyn Job>]) -> Result<Vec<AfterCommit>, StoreError> {
        self.sql("BEGIN IMMEDIATE")?;
        let mut left = Leftover::default();
        let run = group.iter_mut().try_for_each(|job| {
            let of_job = self.run_one(job.as_mut())?;
            left.after.extend(of_job.after);
            left.entries.extend(of_job.entries);
            left.regrouped |= of_job.regrouped;
            Ok(())
        });
        let sealed = run.and_then(|()| self.seal(std::mem::take(&mut left.entries)));
        match sealed.and_then(|()| self.sql("COMMIT")) {
            Ok(()) => {
                if left.regrouped {
                    self.regroupings.fetch_add(1, Ordering::Release);
                }
                Ok(left.after)
            }
            Err(error) => {
                // It may stand beyond what is in the file.
                self.chains = None;
                // After a failed commit the transaction may still be open; SQLite itself ends it on some errors.
                if !self.connection.is_autocommit() {
                    self.sql("ROLLBACK")?;
                }
                Err(error)
            }
        }
    }

    /// Runs one job so that its failure leaves its neighbours' writes alone; what it leaves for the end.
    fn run_one(&self, job: &mut dyn Job) -> Result<Leftover, StoreError> {
        let ran = job.run(&self.connection, &self.file);
        if self.connection.is_autocommit() {
            let cause = "the transaction was ended by an error of the disk";
            return Err(StoreError::words("writing", &self.file, cause));
        }
        match ran {
            Ran { guarded: true, .. } => {
                if !ran.kept {
                    self.sql("ROLLBACK TO job")?;
                }
                self.sql("RELEASE job")?;
            }
            Ran {
                wrote: true,
                kept: false,
                ..
            } => {
                // Nothing but the storage can have failed. Without a savepoint only all can be taken back.
                let cause = "an operation failed between its writes";
                return Err(StoreError::words("writing", &self.file, cause));
            }
            Ran { .. } => {}
        }
        Ok(match ran.kept {
            true => ran.left,
            false => Leftover::default(),
        })
    }

    /// Chains what the jobs entered into the audit.
    fn seal(&mut self, entries: Vec<Entry>) -> Result<(), StoreError> {
        if entries.is_empty() {
            return Ok(());
        }
        let tx = Tx::new(&self.connection, &self.file);
        let mut chains = match self.chains.take() {
            Some(chains) => chains,
            None => Chains::load(&tx, self.limits)?,
        };
        chains.seal(&tx, entries)?;
        self.chains = Some(chains);
        Ok(())
    }

    fn sql(&self, sql: &'static str) -> Result<(), StoreError> {
        let run = || self.connection.prepare_cached(sql)?.execute([]).map(drop);
        run().map_err(|error| StoreError::sql("writing", &self.file, error))
    }
}

/// How long the writer waits for more jobs before the next commit, when the one before began `since` ago with so many jobs.
fn rest(jobs: usize, since: Duration) -> Option<Duration> {
    match jobs {
        0 | 1 => None,
        _ => PACE.checked_sub(since),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_callers_who_are_several_wait_for_each_other() {
        let pace = PACE;
        let millis = Duration::from_millis;
        for (jobs, since, expected) in [
            (1, Duration::ZERO, None),
            (2, Duration::ZERO, Some(pace)),
            (512, millis(4), Some(pace - millis(4))),
            (512, pace + millis(1), None),
        ] {
            assert_eq!(rest(jobs, since), expected, "{jobs} {since:?}");
        }
    }
}
