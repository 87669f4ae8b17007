//! Pulls that take longer than a round. A large image on a slow network must not hold up the
//! restart of another module, nor a new deployment.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ids::ModuleId;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::runtime::{PullProgress, RuntimeError};

/// How long a round waits for an image.
const WAIT: Duration = Duration::from_secs(2);

/// The outcome of a pull, with a warning if an older image is used.
pub(super) type Fetched = Result<Option<String>, RuntimeError>;

/// The pulls that run or have ended, at most one for each module.
#[derive(Debug, Default)]
pub(super) struct Pulls {
    pulls: Mutex<BTreeMap<ModuleId, Pull>>,
}

#[derive(Debug)]
struct Pull {
    attempt: String,
    progress: PullProgress,
    state: PullState,
}

#[derive(Debug)]
enum PullState {
    Running(JoinHandle<Fetched>),
    Ended(Fetched),
}

impl Drop for Pull {
    /// Ends the pull. The engine keeps the layers that have come.
    fn drop(&mut self) {
        if let PullState::Running(task) = &self.state {
            task.abort();
        }
    }
}

impl Pull {
    async fn wait_until(&mut self, end: Instant) {
        let PullState::Running(task) = &mut self.state else {
            return;
        };
        if let Ok(ended) = tokio::time::timeout_at(end, task).await {
            self.state = PullState::Ended(ended.unwrap_or_else(|ended| {
                Err(RuntimeError::Refused {
                    what: "pull an image".to_owned(),
                    message: ended.to_string(),
                })
            }));
        }
    }
}

impl Pulls {
    /// Waits a moment for the pull of `attempt`, which `start` starts unless there is one already.
    /// `None` when it takes longer. A pull for another attempt of the module ends.
    pub(super) async fn wait(
        &self,
        module: &ModuleId,
        attempt: &str,
        start: impl FnOnce(PullProgress) -> JoinHandle<Fetched>,
    ) -> Option<Fetched> {
        let mut pull = self.take(module, attempt, start);
        pull.wait_until(Instant::now() + WAIT).await;
        match std::mem::replace(&mut pull.state, PullState::Ended(Ok(None))) {
            PullState::Ended(fetched) => Some(fetched),
            running @ PullState::Running(_) => {
                pull.state = running;
                self.lock().insert(module.clone(), pull);
                None
            }
        }
    }

    /// As [`wait`](Self::wait), and leaves the outcome for it. Returns whether the image is there.
    pub(super) async fn is_ready(
        &self,
        module: &ModuleId,
        attempt: &str,
        start: impl FnOnce(PullProgress) -> JoinHandle<Fetched>,
    ) -> Readiness {
        let mut pull = self.take(module, attempt, start);
        pull.wait_until(Instant::now() + WAIT).await;
        let ready = match &pull.state {
            PullState::Running(_) => Readiness::Pulling,
            PullState::Ended(Ok(_)) => Readiness::Ready,
            PullState::Ended(Err(_)) => Readiness::Failed,
        };
        self.lock().insert(module.clone(), pull);
        ready
    }

    fn take(
        &self,
        module: &ModuleId,
        attempt: &str,
        start: impl FnOnce(PullProgress) -> JoinHandle<Fetched>,
    ) -> Pull {
        let kept = self.lock().remove(module);
        kept.filter(|pull| pull.attempt == attempt)
            .unwrap_or_else(|| {
                let progress = PullProgress::default();
                Pull {
                    attempt: attempt.to_owned(),
                    state: PullState::Running(start(progress.clone())),
                    progress,
                }
            })
    }

    /// Ends the pulls of modules that are not `desired`.
    pub(super) fn keep_only(&self, desired: impl Fn(&ModuleId) -> bool) {
        self.lock().retain(|module, _| desired(module));
    }

    /// The modules whose image is being pulled, and how far that is.
    pub(super) fn progress(&self) -> BTreeMap<ModuleId, String> {
        let pulls = self.lock();
        let running = pulls
            .iter()
            .filter(|(_, pull)| matches!(pull.state, PullState::Running(_)));
        running
            .map(|(module, pull)| (module.clone(), pull.progress.to_string()))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ModuleId, Pull>> {
        // Every change is a single call, so that a panic in one leaves a consistent value.
        self.pulls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How an image stands before the action that needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readiness {
    Ready,
    Pulling,
    Failed,
}
