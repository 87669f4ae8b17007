//! What the parts of the daemon tell each other: latest values, not messages, so that nobody can miss one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ids::{GenerationId, ModuleId};
use serde_json::{Map, Value};
use tokio::sync::watch;
use wire::edge_api::local::{Connection, Engine, ModuleDetails, Provisioning};

use crate::desired::DesiredDocument;
use crate::provision::assignment::Home;

/// Where the device belongs and which identities its modules have there.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Situation {
    /// `None` before the first registration.
    pub home: Option<Home>,
    /// Generation of every module that the hub knows and whose keys are ours.
    pub identities: BTreeMap<ModuleId, GenerationId>,
    /// What the modules should be; `None` until the hub was asked once.
    pub desired: Option<DesiredDocument>,
}

/// The latest values that cross from one part to another.
#[derive(Debug, Clone)]
pub struct Board {
    /// From the cloud's side to the agent's.
    pub situation: watch::Sender<Situation>,
    /// From the agent: modules that need an identity; `None` until it has read the deployment.
    pub needed: watch::Sender<Option<BTreeSet<ModuleId>>>,
    /// From the agent: what should be reported.
    pub reported: watch::Sender<Option<Map<String, Value>>>,
    /// Counts the agent's rounds.
    pub rounds: watch::Sender<u64>,
    shown: Arc<Mutex<Shown>>,
}

/// What people get to see.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// How far the registration is.
    pub provisioning: Provisioning,
    /// The line to the hub.
    pub connection: Connection,
    /// The container engine.
    pub engine: Engine,
    /// Version of the deployment that is followed.
    pub deployment_version: Option<u64>,
    /// Why it is not followed in full.
    pub deployment_problems: Vec<String>,
    /// What of it has no effect, or another one.
    pub deployment_warnings: Vec<String>,
    /// All modules.
    pub modules: Vec<ModuleDetails>,
}

impl Default for Board {
    fn default() -> Self {
        let shown = Shown {
            provisioning: Provisioning::Unconfigured {
                hint: String::new(),
            },
            connection: Connection::Idle,
            engine: Engine::default(),
            deployment_version: None,
            deployment_problems: Vec::new(),
            deployment_warnings: Vec::new(),
            modules: Vec::new(),
        };
        Self {
            situation: watch::Sender::default(),
            needed: watch::Sender::default(),
            reported: watch::Sender::default(),
            rounds: watch::Sender::default(),
            shown: Arc::new(Mutex::new(shown)),
        }
    }
}

impl Board {
    /// What people get to see.
    #[must_use]
    pub fn shown(&self) -> Shown {
        self.lock().clone()
    }

    /// Changes what people get to see.
    pub fn show(&self, change: impl FnOnce(&mut Shown)) {
        change(&mut self.lock());
    }

    fn lock(&self) -> MutexGuard<'_, Shown> {
        // Every change replaces whole members, so that a panic elsewhere leaves nothing half done.
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
