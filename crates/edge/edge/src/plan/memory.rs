//! What the agent keeps about its modules from one round to the next.

use std::collections::{BTreeMap, BTreeSet};

use ids::{ModuleId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::plan::restart_policy::{LONGEST_PAUSE, RestartLimits, Restarts};
use crate::runtime::EndedBy;

/// [`Failure::attempt`] of the removal of a module.
pub const REMOVAL: &str = "removal";

/// An action that failed, and the time of the next attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What was attempted: `DesiredModule::attempt`, or [`REMOVAL`].
    pub attempt: String,
    /// Failures in a row.
    pub count: u32,
    pub next: Timestamp,
    pub problem: String,
    /// Whether the image could not be pulled.
    pub pulling: bool,
}

impl Failure {
    /// One more failure of `attempt`. The pause grows with the number of failures in a row.
    #[must_use]
    pub fn after(earlier: Option<&Self>, attempt: &str, problem: String, now: Timestamp) -> Self {
        let count = earlier
            .filter(|e| e.attempt == attempt)
            .map_or(0, |e| e.count);
        Self {
            attempt: attempt.to_owned(),
            count: count.saturating_add(1),
            next: now.plus(RestartLimits::default().pause(count)),
            problem,
            pulling: false,
        }
    }

    /// Whether the next attempt is still to come. A pause longer than the longest is one from before
    /// the clock was set back, and over.
    #[must_use]
    pub fn waits(&self, now: Timestamp) -> bool {
        self.next > now && self.next <= now.plus(LONGEST_PAUSE)
    }
}

/// Warnings from the creation of a container: settings without effect, or with another effect than
/// the deployment asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreationWarnings {
    /// `ContainerSpec::digest` of the container.
    pub digest: String,
    pub texts: Vec<String>,
}

/// What the agent keeps about its modules. The fields without `skip` are in `restarts.json`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Memory {
    /// Restarts by restart policy.
    pub restarts: BTreeMap<ModuleId, Restarts>,
    /// Modules that should be stopped in the last round. When the deployment wants them to run
    /// again, they start at once, whatever their restart policy is.
    #[serde(default, rename = "resting")]
    pub stopped: BTreeSet<ModuleId>,
    #[serde(default, rename = "remarks")]
    pub warnings: BTreeMap<ModuleId, CreationWarnings>,
    #[serde(skip)]
    pub failures: BTreeMap<ModuleId, Failure>,
    /// Modules whose image is being pulled, and how far that is.
    #[serde(skip)]
    pub pulling: BTreeMap<ModuleId, String>,
    /// Exits with 0 while the daemon and the engine ran, with what the engine answered about them.
    #[serde(skip)]
    pub exits: BTreeMap<ModuleId, KnownExit>,
}

/// An exit about which the engine was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownExit {
    /// The id of the container.
    pub container: String,
    pub at: Timestamp,
    pub ended_by: EndedBy,
}

impl KnownExit {
    #[must_use]
    pub fn is_of(&self, container: &str, at: Timestamp) -> bool {
        self.container == container && self.at == at
    }
}
