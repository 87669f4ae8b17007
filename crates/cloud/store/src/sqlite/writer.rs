use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::StoreError;
use crate::audit::{AuditLimits, Chains, Entry};
use crate::sqlite::connection::{AfterCommit, Tx, TxEffects};

/// Most jobs of one transaction; what arrives meanwhile waits for the next.
const GROUP: usize = 512;

/// How long the jobs of one transaction may run together. The one that passes it is the last.
const SPAN: Duration = Duration::from_millis(20);

/// While several callers write, commits begin at least this far apart, so that many share one sync: a hundred a second, whatever
/// the number of writers. A caller who writes alone waits for nobody.
const PACE: Duration = Duration::from_millis(10);

/// Who waits for a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// A device or an operator.
    Interactive,
    /// Nobody in particular: it follows from something that was answered already.
    Background,
}

/// A job on its way to the writer.
pub(crate) trait Job: Send {
    /// Runs inside the transaction.
    fn run(&mut self, connection: &Connection, file: &Arc<Path>, group: u64) -> Ran;
    /// Answers the caller, after the commit or its failure.
    fn answer(self: Box<Self>, failure: Option<&StoreError>);
}

/// A job on its way to the writer, with its lane.
pub(crate) type Queued = (Lane, Box<dyn Job>);

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
    left: TxEffects,
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
    fn run(&mut self, connection: &Connection, file: &Arc<Path>, group: u64) -> Ran {
        let Some(work) = self.work.take() else {
            return Ran::default();
        };
        let tx = Tx::new(connection, file, group);
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

/// Jobs that have left the queue.
#[derive(Default)]
pub(crate) struct Waiting {
    interactive: VecDeque<Box<dyn Job>>,
    /// Never more than [`Store`](crate::Store) lets in.
    background: VecDeque<Box<dyn Job>>,
}

impl Waiting {
    fn push(&mut self, (lane, job): Queued) {
        match lane {
            Lane::Interactive => self.interactive.push_back(job),
            Lane::Background => self.background.push_back(job),
        }
    }

    fn is_empty(&self) -> bool {
        self.interactive.is_empty() && self.background.is_empty()
    }

    fn next(&mut self, run: &Run) -> Option<Box<dyn Job>> {
        match run.next(!self.interactive.is_empty(), !self.background.is_empty())? {
            Lane::Interactive => self.interactive.pop_front(),
            Lane::Background => self.background.pop_front(),
        }
    }
}

/// How far a transaction is.
#[derive(Debug, Clone, Copy, Default)]
struct Run {
    jobs: usize,
    of_background: usize,
    spent: Duration,
}

impl Run {
    /// Which lane the next job of the transaction comes from; `None` when it shall be committed.
    fn next(self, interactive: bool, background: bool) -> Option<Lane> {
        let room = self.jobs < GROUP && self.spent < SPAN;
        if interactive && room {
            return Some(Lane::Interactive);
        }
        // One of these goes into every transaction, however many others wait.
        (background && (room || self.of_background == 0)).then_some(Lane::Background)
    }
}

/// The writer: one connection, one thread. Drains what is queued into one transaction, commits, tells, answers.
pub(crate) struct Writer {
    pub(crate) connection: Connection,
    pub(crate) file: Arc<Path>,
    pub(crate) queue: mpsc::Receiver<Queued>,
    pub(crate) waiting: Waiting,
    pub(crate) limits: AuditLimits,
    /// Counts commits after which another group may let a device in than before.
    pub(crate) group_generation: Arc<AtomicU64>,
    /// Where the audit stands; `None` before the first commit and after one that failed.
    pub(crate) chains: Option<Chains>,
    /// Counts transactions.
    pub(crate) group: u64,
}

impl Writer {
    /// Runs until every sender is gone and the queue is empty.
    pub(crate) fn run(mut self) {
        let mut group: Vec<Box<dyn Job>> = Vec::with_capacity(GROUP);
        let mut last: Option<(Instant, usize)> = None;
        while self.wait() {
            let rest = last.and_then(|(begun, jobs)| rest(jobs, begun.elapsed()));
            if let Some(rest) = rest {
                std::thread::sleep(rest);
            }
            self.take_what_waits();
            let begun = Instant::now();
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
            last = Some((begun, group.len()));
            for job in group.drain(..) {
                job.answer(failure.as_ref());
            }
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

    fn take_what_waits(&mut self) {
        while self.waiting.interactive.len() < GROUP
            && let Ok(job) = self.queue.try_recv()
        {
            self.waiting.push(job);
        }
    }

    /// Runs what waits, as far as one transaction goes, and commits it. The jobs that ran are in `group`, also when it fails.
    fn commit(&mut self, group: &mut Vec<Box<dyn Job>>) -> Result<Vec<AfterCommit>, StoreError> {
        self.group += 1;
        let begun = Instant::now();
        let mut left = TxEffects::default();
        let run = match self.begin() {
            Ok(()) => self.run_group(begun, group, &mut left),
            Err(error) => {
                // Nobody waits for a transaction that cannot be begun.
                group.extend(self.waiting.interactive.drain(..));
                group.extend(self.waiting.background.drain(..));
                Err(error)
            }
        };
        let sealed = run.and_then(|()| self.seal(std::mem::take(&mut left.entries)));
        match sealed.and_then(|()| self.sql("COMMIT")) {
            Ok(()) => {
                if left.bumps_group_generation {
                    self.group_generation.fetch_add(1, Ordering::Release);
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

    fn begin(&self) -> Result<(), StoreError> {
        // One that could not be taken back before would be in the way for ever.
        if !self.connection.is_autocommit() {
            self.sql("ROLLBACK")?;
        }
        self.sql("BEGIN IMMEDIATE")
    }

    fn run_group(
        &mut self,
        begun: Instant,
        group: &mut Vec<Box<dyn Job>>,
        left: &mut TxEffects,
    ) -> Result<(), StoreError> {
        let mut run = Run::default();
        let background = self.waiting.background.len();
        while let Some(mut job) = self.waiting.next(&run) {
            let ran = self.run_one(job.as_mut());
            group.push(job);
            let of_job = ran?;
            left.after.extend(of_job.after);
            left.entries.extend(of_job.entries);
            left.bumps_group_generation |= of_job.bumps_group_generation;
            run = Run {
                jobs: group.len(),
                of_background: background - self.waiting.background.len(),
                spent: begun.elapsed(),
            };
        }
        Ok(())
    }

    /// Runs one job so that its failure leaves its neighbours' writes alone; what it leaves for the end.
    fn run_one(&self, job: &mut dyn Job) -> Result<TxEffects, StoreError> {
        let ran = job.run(&self.connection, &self.file, self.group);
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
            false => TxEffects::default(),
        })
    }

    /// Chains what the jobs entered into the audit.
    fn seal(&mut self, entries: Vec<Entry>) -> Result<(), StoreError> {
        if entries.is_empty() {
            return Ok(());
        }
        let tx = Tx::new(&self.connection, &self.file, self.group);
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

    fn writer() -> (mpsc::Sender<Queued>, Writer) {
        let (sender, queue) = mpsc::channel(4096);
        let writer = Writer {
            connection: Connection::open_in_memory().unwrap(),
            file: Path::new(":memory:").into(),
            queue,
            waiting: Waiting::default(),
            limits: AuditLimits::default(),
            group_generation: Arc::default(),
            chains: None,
            group: 0,
        };
        (sender, writer)
    }

    /// What ran and what was committed, in order.
    type Told = Arc<std::sync::Mutex<Vec<&'static str>>>;

    fn job(told: &Told, name: &'static str, lasts: Duration) -> Box<dyn Job> {
        let told = told.clone();
        let work = move |tx: &Tx<'_>| {
            std::thread::sleep(lasts);
            told.lock().unwrap().push(name);
            tx.after_commit(move || told.lock().unwrap().push("committed"));
            Ok::<_, StoreError>(())
        };
        Box::new(Pending::new(work, true, oneshot::channel().0))
    }

    // C7
    #[test]
    fn who_waits_comes_before_what_follows() {
        let (sender, writer) = writer();
        let told = Told::default();
        for (count, lane, name) in [
            (40, Lane::Background, "background"),
            (3, Lane::Interactive, "interactive"),
        ] {
            for _ in 0..count {
                let job = job(&told, name, Duration::ZERO);
                sender.try_send((lane, job)).unwrap();
            }
        }
        drop(sender);
        writer.run();
        let told = told.lock().unwrap();
        assert_eq!(told[..3], ["interactive"; 3]);
        assert_eq!(
            told.iter().filter(|what| **what == "background").count(),
            40
        );
    }

    // C7
    #[test]
    fn a_transaction_ends_when_its_time_is_over() {
        let (sender, writer) = writer();
        let told = Told::default();
        for _ in 0..9 {
            let job = job(&told, "ran", Duration::from_millis(12));
            sender.try_send((Lane::Interactive, job)).unwrap();
        }
        drop(sender);
        writer.run();
        let told = told.lock().unwrap();
        let most = told
            .split(|what| *what == "committed")
            .map(<[_]>::len)
            .max();
        assert!(most <= Some(2), "{told:?}");
        assert_eq!(told.iter().filter(|what| **what == "ran").count(), 9);
    }

    /// Who waits for a transaction that cannot be begun is told so, and the writer goes on.
    #[test]
    fn a_transaction_that_cannot_be_begun_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("locked.db");
        let (sender, mut writer) = writer();
        writer.connection = Connection::open(&path).unwrap();
        let timeout = writer.connection.busy_timeout(Duration::ZERO);
        timeout.unwrap();
        let other = Connection::open(&path).unwrap();
        other.execute_batch("BEGIN EXCLUSIVE").unwrap();
        let mut answers = Vec::new();
        for lane in [Lane::Interactive, Lane::Background] {
            let (answer, answered) = oneshot::channel();
            let work = |_: &Tx<'_>| Ok::<_, StoreError>(());
            let job = Box::new(Pending::new(work, true, answer));
            sender.try_send((lane, job)).unwrap();
            answers.push(answered);
        }
        drop(sender);
        writer.run();
        for answered in answers {
            assert!(matches!(answered.blocking_recv(), Ok(Err(_))));
        }
    }

    // C7
    #[test]
    fn no_lane_starves() {
        let over = SPAN + Duration::from_millis(1);
        for (jobs, of_background, spent, interactive, background, expected) in [
            (0, 0, Duration::ZERO, true, true, Some(Lane::Interactive)),
            (
                GROUP - 1,
                0,
                Duration::ZERO,
                true,
                true,
                Some(Lane::Interactive),
            ),
            (GROUP, 0, Duration::ZERO, true, true, Some(Lane::Background)),
            (GROUP + 1, 1, Duration::ZERO, true, true, None),
            (3, 0, over, true, true, Some(Lane::Background)),
            (4, 1, over, true, true, None),
            (3, 0, over, true, false, None),
            (4, 4, Duration::ZERO, false, true, Some(Lane::Background)),
            (4, 4, Duration::ZERO, false, false, None),
        ] {
            let run = Run {
                jobs,
                of_background,
                spent,
            };
            assert_eq!(run.next(interactive, background), expected, "{run:?}");
        }
    }

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
