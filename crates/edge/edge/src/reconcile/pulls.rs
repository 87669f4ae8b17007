//! Pulls that take longer than a round. A large image on a slow network must not hold up the
//! restart of another module, nor a new deployment.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ids::ModuleId;
use tokio::task::JoinHandle;

use crate::runtime::RuntimeError;

/// How long a round waits for an image.
const WAIT: Duration = Duration::from_secs(2);

/// The outcome of a pull, with a warning if an older image is used.
pub(super) type Fetched = Result<Option<String>, RuntimeError>;

/// The pulls that run, at most one for each module.
#[derive(Debug, Default)]
pub(super) struct Pulls {
    running: Mutex<BTreeMap<ModuleId, Pull>>,
}

#[derive(Debug)]
struct Pull {
    attempt: String,
    task: JoinHandle<Fetched>,
}

impl Drop for Pull {
    /// Ends the pull. The engine keeps the layers that have come.
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Pulls {
    /// Waits a moment for the pull of `attempt`, which `start` starts unless it runs already.
    /// `None` when it takes longer. A pull for another attempt of the module ends.
    pub(super) async fn wait(
        &self,
        module: &ModuleId,
        attempt: &str,
        start: impl FnOnce() -> JoinHandle<Fetched>,
    ) -> Option<Fetched> {
        let running = self.lock().remove(module);
        let running = running.filter(|pull| pull.attempt == attempt);
        let mut pull = running.unwrap_or_else(|| Pull {
            attempt: attempt.to_owned(),
            task: start(),
        });
        match tokio::time::timeout(WAIT, &mut pull.task).await {
            Ok(Ok(fetched)) => Some(fetched),
            Ok(Err(ended)) => Some(Err(RuntimeError::Refused {
                what: "pull an image".to_owned(),
                message: ended.to_string(),
            })),
            Err(_) => {
                self.lock().insert(module.clone(), pull);
                None
            }
        }
    }

    /// Ends the pulls of modules that are not `desired`.
    pub(super) fn keep_only(&self, desired: impl Fn(&ModuleId) -> bool) {
        self.lock().retain(|module, _| desired(module));
    }

    pub(super) fn modules(&self) -> BTreeSet<ModuleId> {
        self.lock().keys().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ModuleId, Pull>> {
        // Every change is a single call, so that a panic in one leaves a consistent value.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
