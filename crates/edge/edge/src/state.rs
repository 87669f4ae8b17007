//! The state that the parts of the daemon share: always the latest values and no messages, so that
//! no part can miss one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ids::{GenerationId, ModuleId, Timestamp};
use serde_json::{Map, Value};
use tokio::sync::watch;
use wire::edge_api::local::{CertificateStatus, Connection, Engine, ModuleDetails, Provisioning};

use crate::desired::{DesiredDocument, Followed, Rejected};
use crate::metrics::Metrics;
use crate::provision::assignment::DeviceLocation;
use crate::provision::guarded_clock::GuardedClock;

/// What the cloud has given the device.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CloudState {
    /// `None` before the first registration.
    pub location: Option<DeviceLocation>,
    /// The modules that have an identity on the hub with keys of this device.
    pub identities: BTreeMap<ModuleId, GenerationId>,
    /// `None` until the hub has answered for the first time.
    pub desired: Option<DesiredDocument>,
    /// The last desired properties that could be followed.
    pub last_good: Option<DesiredDocument>,
}

impl CloudState {
    /// The deployment to follow: the desired properties, or the last good ones while those cannot
    /// be followed. `None` until the hub has answered.
    pub(crate) fn followed(&self) -> Option<Result<Followed, Rejected>> {
        let document = self.desired.as_ref()?;
        let error = match document.manifest() {
            Ok(manifest) => {
                return Some(Ok(Followed {
                    manifest,
                    version: document.version,
                    rejected: None,
                }));
            }
            Err(error) => error,
        };
        let version = document.version;
        let rejected = Rejected { error, version };
        let good = self.last_good.as_ref();
        let good = good.and_then(|good| Some((good.manifest().ok()?, good.version)));
        Some(match good {
            Some((manifest, version)) => Ok(Followed {
                manifest,
                version,
                rejected: Some(rejected),
            }),
            None => Err(rejected),
        })
    }
}

/// The values that the parts of the daemon share.
#[derive(Debug, Clone)]
pub struct SharedState {
    /// From the connection to the agent.
    pub cloud_state: watch::Sender<CloudState>,
    /// From the agent: the modules that need an identity; `None` until it has read a deployment.
    pub needed_identities: watch::Sender<Option<BTreeSet<ModuleId>>>,
    /// From the agent: the reported properties.
    pub reported: watch::Sender<Option<Map<String, Value>>>,
    /// The time that the device goes by.
    pub clock: Arc<GuardedClock>,
    /// The number of rounds that the agent has finished.
    pub rounds: watch::Sender<u64>,
    /// What the agent counts.
    pub metrics: Metrics,
    status: Arc<Mutex<Status>>,
}

/// What the local APIs show to people.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    pub provisioning: Provisioning,
    /// The connection to the hub.
    pub connection: Connection,
    /// What is wrong with the machine's clock.
    pub clock_problem: Option<String>,
    pub engine: Engine,
    /// The version of the deployment that is followed.
    pub deployment_version: Option<u64>,
    /// Why the deployment is not followed in full.
    pub deployment_problems: Vec<String>,
    /// Settings of the deployment without effect, or with another effect.
    pub deployment_warnings: Vec<String>,
    pub modules: Vec<ModuleDetails>,
    pub certificates: Vec<CertificateStatus>,
}

impl Default for SharedState {
    fn default() -> Self {
        let status = Status {
            provisioning: Provisioning::Unconfigured {
                hint: String::new(),
            },
            connection: Connection::Idle,
            clock_problem: None,
            engine: Engine::default(),
            deployment_version: None,
            deployment_problems: Vec::new(),
            deployment_warnings: Vec::new(),
            modules: Vec::new(),
            certificates: Vec::new(),
        };
        Self {
            cloud_state: watch::Sender::default(),
            needed_identities: watch::Sender::default(),
            reported: watch::Sender::default(),
            clock: Arc::new(GuardedClock::unkept()),
            rounds: watch::Sender::default(),
            metrics: Metrics::default(),
            status: Arc::new(Mutex::new(status)),
        }
    }
}

impl SharedState {
    #[must_use]
    pub fn by_clock(clock: Arc<GuardedClock>) -> Self {
        Self {
            clock,
            ..Self::default()
        }
    }

    /// The time, also while the machine's clock is wrong.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.read().time
    }

    #[must_use]
    pub fn status(&self) -> Status {
        self.lock().clone()
    }

    pub fn update_status(&self, update: impl FnOnce(&mut Status)) {
        update(&mut self.lock());
    }

    fn lock(&self) -> MutexGuard<'_, Status> {
        // Every update replaces whole fields, so that a panic in one leaves a consistent value.
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends a value to the receivers, unless they have the same already.
pub(crate) fn send_if_changed<T: PartialEq>(sender: &watch::Sender<T>, value: T) {
    sender.send_if_modified(|current| {
        let changed = *current != value;
        if changed {
            *current = value;
        }
        changed
    });
}
