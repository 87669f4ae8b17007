//! Jobs: starts those that are due, a bounded number of each hub at once, and forgets old ones.
//!
//! Level-triggered: what runs follows from the stored jobs, so that a restart goes on where the
//! process before ended. What a job does is in [`run`](self::run).

mod call;
mod run;
mod select;
mod transfer;
mod update;
pub(crate) mod view;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::Future;
use std::time::Duration;

use ids::{HubName, Timestamp};
use registry::{JobState, MAX_RUNNING_JOBS, OpenJob, StorageError};
use tokio::sync::watch;
use tokio::task::{Id, JoinSet};
use tokio::time::sleep;

pub(crate) use self::update::checked_update;
use crate::service::Hub;

/// Stored jobs are looked at this often, when nothing of them is known to have changed.
const PERIOD: Duration = Duration::from_secs(30);
/// The same while a job is scheduled: the clock may be set.
const PERIOD_SCHEDULED: Duration = Duration::from_secs(1);
/// Old jobs are looked for this often.
const FORGET_PERIOD: Duration = Duration::from_secs(600);

/// Runs jobs until `shutdown` turns true. A call that a device has not answered by then has no
/// outcome that is known.
pub(crate) async fn run(hub: &Hub, shutdown: watch::Receiver<bool>) {
    tokio::join!(schedule(hub, shutdown.clone()), forget(hub, shutdown));
}

async fn schedule(hub: &Hub, mut shutdown: watch::Receiver<bool>) {
    let mut changes = hub.job_changes();
    let mut runners = Runners::default();
    while !*shutdown.borrow() {
        // Before the look: a change during it must wake the next one.
        changes.mark_unchanged();
        let period = match hub.registry().open_jobs() {
            Ok(open) => {
                count_open(&open);
                for row in due(&open, &runners.rows(), hub.now()) {
                    let hub = hub.clone();
                    runners.start(row, async move { run::run(&hub, row).await });
                }
                match open.iter().any(|job| job.state == JobState::Scheduled) {
                    true => PERIOD_SCHEDULED,
                    false => PERIOD,
                }
            }
            Err(error) => {
                log_failure(&error, "jobs were not read");
                PERIOD
            }
        };
        // Cancel-safe: all arms only wait.
        tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => return,
            _ = changes.changed() => {}
            Some(ended) = runners.ended() => {
                if let Ended::Panicked(row) = ended {
                    tracing::error!(job.row = row, "a job was interrupted by a fault of the server; it goes on");
                    // It keeps its place until it is tried again.
                    runners.start(row, sleep(run::RETRY));
                }
            }
            () = sleep(period) => {}
        }
    }
}

/// The metric of jobs that have not ended.
fn count_open(open: &[OpenJob]) {
    let scheduled = open.iter().filter(|job| job.state == JobState::Scheduled);
    let scheduled = scheduled.count();
    for (state, jobs) in [("scheduled", scheduled), ("begun", open.len() - scheduled)] {
        let jobs = u32::try_from(jobs).unwrap_or(u32::MAX);
        metrics::gauge!("muster_hub_jobs_open", "state" => state).set(jobs);
    }
}

/// The jobs that run, by their tasks. Dropping it ends them.
#[derive(Default)]
struct Runners {
    tasks: JoinSet<()>,
    rows: HashMap<Id, i64>,
}

/// The row of a job that does not run any more.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    Done(i64),
    Panicked(i64),
}

impl Runners {
    fn start(&mut self, row: i64, run: impl Future<Output = ()> + Send + 'static) {
        let task = self.tasks.spawn(run);
        self.rows.insert(task.id(), row);
    }

    fn rows(&self) -> BTreeSet<i64> {
        self.rows.values().copied().collect()
    }

    /// Waits for one that ends; `None` when none runs. Cancel-safe.
    async fn ended(&mut self) -> Option<Ended> {
        match self.tasks.join_next_with_id().await? {
            Ok((task, ())) => self.rows.remove(&task).map(Ended::Done),
            Err(error) => self.rows.remove(&error.id()).map(Ended::Panicked),
        }
    }
}

/// The rows of jobs that begin, or go on, now: those that had begun first, then in the order of
/// their start.
fn due(open: &[OpenJob], running: &BTreeSet<i64>, now: Timestamp) -> Vec<i64> {
    let mut places: BTreeMap<&HubName, usize> = BTreeMap::new();
    for job in open.iter().filter(|job| running.contains(&job.row)) {
        *places.entry(&job.hub).or_default() += 1;
    }
    let idle = || open.iter().filter(|job| !running.contains(&job.row));
    let begun = idle().filter(|job| job.state != JobState::Scheduled);
    let scheduled = idle().filter(|job| job.state == JobState::Scheduled && job.starts <= now);
    let mut due = Vec::new();
    for job in begun.chain(scheduled) {
        let taken = places.entry(&job.hub).or_default();
        if *taken < MAX_RUNNING_JOBS {
            *taken += 1;
            due.push(job.row);
        }
    }
    due
}

/// Deletes jobs after the time that they are kept.
async fn forget(hub: &Hub, mut shutdown: watch::Receiver<bool>) {
    while !*shutdown.borrow() {
        match hub.registry().forget_jobs(hub.now()).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => log_failure(&error, "old jobs were not deleted"),
        }
        // Cancel-safe: both arms only wait.
        tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => return,
            () = sleep(FORGET_PERIOD) => {}
        }
    }
}

fn log_failure(error: &StorageError, what: &str) {
    tracing::error!(error = error as &dyn std::error::Error, "{what}");
}

#[cfg(test)]
mod tests {
    use registry::JobKind;

    use super::*;

    fn job(row: i64, hub: &str, state: JobState, starts: i64) -> OpenJob {
        OpenJob {
            row,
            hub: HubName::parse(hub).unwrap(),
            kind: JobKind::UpdateTwin,
            state,
            starts: Timestamp::from_unix_seconds(starts),
        }
    }

    #[tokio::test]
    async fn a_runner_that_panics_is_known_while_another_runs() {
        let mut runners = Runners::default();
        runners.start(1, std::future::pending());
        runners.start(2, async { panic!("a fault") });
        assert_eq!(runners.rows(), BTreeSet::from([1, 2]));
        assert_eq!(runners.ended().await, Some(Ended::Panicked(2)));
        assert_eq!(runners.rows(), BTreeSet::from([1]));
        runners.start(2, async {});
        assert_eq!(runners.ended().await, Some(Ended::Done(2)));
    }

    #[test]
    fn a_hub_runs_so_many_jobs_and_those_that_had_begun_first() {
        let now = Timestamp::from_unix_seconds(100);
        let mut open: Vec<_> = (0..12)
            .map(|row| job(row, "a", JobState::Scheduled, 50))
            .collect();
        open.push(job(20, "a", JobState::Working, 90));
        open.push(job(21, "b", JobState::Scheduled, 100));
        open.push(job(22, "b", JobState::Scheduled, 101));
        let running = BTreeSet::from([3]);
        let due = due(&open, &running, now);
        assert_eq!(due, [20, 0, 1, 2, 4, 5, 6, 7, 8, 21]);
    }
}
