use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ids::{HubHost, HubName, Timestamp};
use store::audit::AuditLimits;
use store::{DataDirectory, Store, StoreOptions, Tx};

use crate::actor::Actor;
use crate::change::Watcher;
use crate::entropy::Entropy;
use crate::error::{NotWritable, OpenError, StorageError};
use crate::service::{ProvisioningService, Served};

mod acts;
mod audit;
mod init;
mod rows;
mod served;
mod unreadable;
mod watchers;

mod hubs;
mod policies;
mod services;

mod blocks;
mod ca_certificates;
mod enrollments;
mod groups;
mod references;
mod refusals;
mod registrations;
mod remote_tasks;
mod resources;

mod devices;
mod modules;
mod new_identity;
mod presences;
mod twins;

mod apply;
mod compiled;
mod configurations;
mod evaluate;

mod logs;
mod telemetry;

pub use logs::{TelemetryLimits, TelemetryRetention};

pub use acts::Act;
pub use audit::{AuditQuery, AuditReadError, AuditRecord, AuditVerifyError};
pub use registrations::{Busy, Carried, CompletedPlacement, PendingHandle, PlacementOutcome};

use acts::Kept;
pub use blocks::{BLOCKED, Block, BlockError};
use compiled::ConfigurationCache;
pub use init::Renamed;
pub use presences::LastSeen;
pub use refusals::ListError;

use enrollments::EnrollmentCache;
use logs::HubLogs;
use served::{ServedNow, ServiceCell};
use unreadable::Unreadable;
use watchers::Watchers;

/// Most modules of a device, its system modules not counted.
pub const MAX_MODULES: usize = 50;
/// Most configurations of a hub.
pub const MAX_CONFIGURATIONS: usize = 100;
/// Most hubs linked to a service.
pub const MAX_LINKED_HUBS: usize = 50;
/// Most hubs that live in a data directory.
pub const MAX_HUBS: usize = 100;
/// Most former host names that are remembered; the certificate names each.
pub(crate) const MAX_FORMER_HOSTS: usize = 100;
/// Most provisioning services of a data directory.
pub const MAX_SERVICES: usize = 100;
/// Most CA certificates uploaded to a provisioning service.
pub const MAX_CA_CERTIFICATES: usize = 25;
/// Most issuers of device certificates, and most trust bundles, of a provisioning service.
pub const MAX_RESOURCES: usize = 25;
/// Most enrollment groups with symmetric keys of a provisioning service: a token names none, so that all of them are tried.
pub const MAX_KEYED_GROUPS: usize = 1000;
/// Most shared access policies of a provisioning service.
pub const MAX_POLICIES: usize = 50;

/// What an empty data directory is initialised with.
#[derive(Clone)]
pub struct Init {
    /// Name of the first hub, used only when the directory is empty.
    pub hub_name: HubName,
    /// Host of the first hub. When it differs from the stored one, the stored one follows.
    pub hub_host: HubHost,
    /// Where keys and ids come from.
    pub entropy: Arc<dyn Entropy>,
}

/// How much is kept of what happened, and how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// The audit.
    pub audit: AuditLimits,
    /// Refusals, since they came last.
    pub refusals: Duration,
    /// Telemetry.
    pub telemetry: TelemetryRetention,
}

impl Default for Retention {
    /// Refusals for 30 days.
    fn default() -> Self {
        Self {
            audit: AuditLimits::default(),
            refusals: Duration::from_secs(30 * 24 * 3600),
            telemetry: TelemetryRetention::default(),
        }
    }
}

/// The registry of a data directory, seen from one of its provisioning services: enrollments and registrations are that
/// service's, hubs and devices are everybody's. Cheap to clone; all clones share one writer.
///
/// Methods that write return after the commit is durable. Point reads run inline in a few microseconds.
#[derive(Clone)]
pub struct Registry {
    inner: Arc<Inner>,
    service: Arc<ServiceCell>,
    /// In whose hands it is, when an operator's.
    actor: Option<Arc<Actor>>,
}

struct Inner {
    store: Kept,
    logs: HubLogs,
    entropy: Arc<dyn Entropy>,
    served: Arc<ServedNow>,
    watchers: Arc<Watchers>,
    enrollments: EnrollmentCache,
    configurations: ConfigurationCache,
    /// Twins that listings leave out.
    unreadable: Unreadable,
    /// Identities that listings leave out.
    unlisted: Unreadable,
    /// Devices that deployments pass over.
    undeployed: Unreadable,
    retention: Retention,
    renamed: Option<Renamed>,
}

/// Opening and the service itself.
impl Registry {
    /// Opens (and, when it is empty, initialises) a data directory and locks it for this process.
    /// Initialising is one transaction: a crash leaves nothing or everything.
    ///
    /// # Errors
    /// When the directory is held by another process, cannot be written, is damaged or was written by a newer version.
    pub async fn open(data_dir: &Path, init: Init, now: Timestamp) -> Result<Self, OpenError> {
        Self::open_keeping(data_dir, init, Retention::default(), now).await
    }

    /// Like [`open`](Self::open), and keeps so much of what happened.
    ///
    /// # Errors
    /// When the directory is held by another process, cannot be written, is damaged or was written by a newer version.
    pub async fn open_keeping(
        data_dir: &Path,
        init: Init,
        retention: Retention,
        now: Timestamp,
    ) -> Result<Self, OpenError> {
        let directory = DataDirectory::lock(data_dir)?;
        let options = StoreOptions {
            audit: retention.audit,
            ..StoreOptions::default()
        };
        let store = Kept::new(Store::open(directory, options)?);
        let entropy = init.entropy.clone();
        let prepare = move |tx: &Tx<'_>| init::prepare(tx, &init, now);
        let renamed = store.of_itself(prepare).await?;
        let served = Arc::new(ServedNow::new(store.read(served::read)?));
        let hubs: Vec<_> = served
            .get()
            .hubs
            .iter()
            .map(|hub| hub.name.clone())
            .collect();
        let telemetry = retention.telemetry.clone();
        let logs = HubLogs::open(data_dir, &hubs, telemetry, entropy.clone()).await?;
        let service = served.cell(|_| true).ok_or(OpenError::Empty)?;
        let inner = Inner {
            store,
            logs,
            entropy,
            served,
            watchers: Arc::default(),
            enrollments: EnrollmentCache::default(),
            configurations: ConfigurationCache::default(),
            unreadable: Unreadable::default(),
            unlisted: Unreadable::default(),
            undeployed: Unreadable::default(),
            retention,
            renamed,
        };
        Ok(Self {
            inner: Arc::new(inner),
            service,
            actor: None,
        })
    }

    /// Reads what a data directory serves, also while a server has it open.
    ///
    /// # Errors
    /// When there is nothing, or it cannot be read.
    pub fn describe(data_dir: &Path) -> Result<Served, OpenError> {
        let served = Store::open_read_only(data_dir)?.read(served::read)?;
        match served.services.is_empty() {
            true => Err(OpenError::Empty),
            false => Ok(served),
        }
    }

    /// Adds a watcher; it hears of every change committed from now on.
    pub fn watch(&self, watcher: Arc<dyn Watcher>) {
        self.inner.watchers.add(watcher);
    }

    /// This handle's provisioning service with its linked hubs, as of the last commit. A pointer, no I/O.
    #[must_use]
    pub fn service(&self) -> Arc<ProvisioningService> {
        self.service.get()
    }

    /// All services, and the hubs that live here, as of the last commit. A pointer, no I/O.
    #[must_use]
    pub fn served(&self) -> Arc<Served> {
        self.inner.served.get()
    }

    /// Whether the server's host name is another one than when the directory was open before.
    #[must_use]
    pub fn renamed(&self) -> Option<&Renamed> {
        self.inner.renamed.as_ref()
    }

    /// The registry as the service of this ID scope sees it.
    #[must_use]
    pub fn for_scope(&self, id_scope: &str) -> Option<Self> {
        let is_it = |service: &ProvisioningService| service.id_scope.matches(id_scope);
        // Most servers have one service, and every request of a device asks.
        let service = match is_it(&self.service()) {
            true => self.service.clone(),
            false => self.inner.served.cell(is_it)?,
        };
        Some(Self {
            inner: self.inner.clone(),
            service,
            actor: self.actor.clone(),
        })
    }

    /// Commits a small write, and asks the event logs: whether storage can be written now (`/readyz`).
    ///
    /// # Errors
    /// When it cannot.
    pub async fn require_writable(&self) -> Result<(), NotWritable> {
        let touched: Result<_, StorageError> =
            self.inner.store.of_itself(|tx| Ok(tx.touch()?)).await;
        self.require_telemetry_writable().await?;
        Ok(touched?)
    }

    fn id_scope(&self) -> String {
        self.service().id_scope.to_string()
    }
}
