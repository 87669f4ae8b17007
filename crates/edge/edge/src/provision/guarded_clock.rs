//! The time that the device goes by: the machine's clock, guarded.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ids::{Timestamp, error_chain};
use serde::{Deserialize, Serialize};

use super::clock_guard::{ClockGuard, Moment, Reading};
use crate::clock;
use crate::files::durable;

/// The file: the last time that was known to be right.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kept {
    last_known: Timestamp,
}

/// The time that the device goes by. All parts of the daemon share one.
#[derive(Debug)]
pub struct GuardedClock {
    guard: Mutex<ClockGuard>,
    /// Where the last known time is kept, if it is.
    path: Option<PathBuf>,
}

impl GuardedClock {
    /// Starts without a last known time, and keeps none.
    #[must_use]
    pub fn unkept() -> Self {
        Self {
            guard: Mutex::new(ClockGuard::new(None, moment())),
            path: None,
        }
    }

    /// Starts with the time that was written before the last end of the daemon.
    #[must_use]
    pub fn start(path: &Path) -> Self {
        let kept = durable::read_json::<Kept>(path).unwrap_or_else(|error| {
            tracing::warn!(error = %error_chain(&error), "the last known time cannot be read");
            None
        });
        let guard = ClockGuard::new(kept.map(|kept| kept.last_known), moment());
        Self {
            guard: Mutex::new(guard),
            path: Some(path.to_owned()),
        }
    }

    #[must_use]
    pub fn read(&self) -> Reading {
        self.lock().read(moment())
    }

    /// What is wrong with the machine's clock, in words.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        self.lock().problem(moment())
    }

    /// Writes the time to disk now and then, when it is known to be right.
    pub fn keep(&self) {
        let Some(last_known) = self.lock().to_keep(moment()) else {
            return;
        };
        let Some(path) = &self.path else {
            return;
        };
        match durable::write_json(path, &Kept { last_known }) {
            Ok(()) => self.lock().kept(last_known),
            Err(error) => {
                tracing::warn!(error = %error_chain(&error), "the time cannot be kept");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, ClockGuard> {
        // Every change replaces whole fields.
        self.guard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl device::Clock for GuardedClock {
    fn now(&self) -> Timestamp {
        self.read().time
    }

    fn hear(&self, server: Timestamp) {
        let mut guard = self.lock();
        let now = moment();
        let before = guard.read(now);
        guard.hear(server, now);
        let after = guard.read(now);
        if before.is_wrong() != after.is_wrong() {
            match guard.problem(now) {
                Some(problem) => tracing::warn!("{problem}"),
                None => tracing::info!("the clock of this device is right"),
            }
        }
    }
}

fn moment() -> Moment {
    Moment {
        wall: clock::now(),
        uptime: clock::uptime(),
    }
}
