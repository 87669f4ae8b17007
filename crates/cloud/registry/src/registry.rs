use std::path::Path;
use std::sync::Arc;

use ids::{HubHost, HubName, IdScope, Timestamp};
use store::audit::AuditLimits;
use store::{DataDirectory, Lock, Store, StoreError, StoreOptions, Tx, unit};

use crate::actor::Actor;
use crate::change::Watcher;
use crate::entropy::{Entropy, random};
use crate::error::{NotWritable, OpenError, StorageError};
use crate::etag;
use crate::hub::LocalHubs;
use crate::revocation::Revocations;

mod act;
mod audit;
mod audited;
mod init;
mod local_hubs;
mod unreadable;
mod watchers;

mod hubs;

mod cloud_messages;
mod device_writer;
mod devices;
mod file_uploads;
mod import;
mod keys;
mod modules;
mod new_identity;
mod notifications;
mod presences;
mod queries;
mod twins;

mod apply;
mod compiled;
mod configurations;
mod evaluate;
mod metrics;
mod readers;
mod rollouts;

mod consumer_groups;
mod jobs;
mod revocations;

mod hub_events;
mod logs;
mod routing;
mod telemetry;
mod twin_event;

pub use act::{Act, OperatorAct};
pub use audit::{AuditQuery, AuditReadError, AuditRecord, AuditVerifyError, ListError};
pub use audited::{AuditedStore, Particulars};
pub use consumer_groups::{ConsumerGroupError, ConsumerGroupRecord};
pub use device_writer::{DeviceWriter, NewDevice, device_certificates, find_device, twin_etag};
pub use hub_events::{AppendedHubEvents, RelayError};
pub use import::ImportError;
use init::Initialise;
pub use init::{FirstHub, Renamed};
pub use jobs::{JOB_HISTORY, JobTarget, JobTwinUpdate, UpdateFault};
pub use local_hubs::read_former_hosts;
pub use logs::{TelemetryLimits, TelemetryRetention};
pub use notifications::NotificationBatch;
pub use presences::LastSeen;
pub use queries::{Connections, FoundTwin, QueryError, QueryPage, QueryRows};
pub use routing::{RoutingRecord, RoutingWriteError};
pub use watchers::Watchers;

use compiled::ConfigurationCache;
use local_hubs::LocalHubsNow;
use logs::HubLogs;
use routing::RoutingNow;
use unreadable::Unreadable;

/// What an empty data directory is initialised with.
#[derive(Clone)]
pub struct Init {
    /// Name of the first hub, used only when the directory is empty.
    pub hub_name: HubName,
    /// Host of the first hub. When it differs from the stored one, the stored one follows.
    pub hub_host: HubHost,
    /// For tests: the store runs every write, rolls it back and runs it again before it counts.
    pub rehearse: bool,
    /// Where keys and ids come from.
    pub entropy: Arc<dyn Entropy>,
}

/// How much is kept of what happened, and how long.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Retention {
    pub audit: AuditLimits,
    pub telemetry: TelemetryRetention,
}

/// The hubs and devices of a data directory. Cheap to clone; all clones share one writer.
///
/// Methods that write return after the commit is durable. Point reads run inline
/// in a few microseconds.
#[derive(Clone)]
pub struct Registry {
    inner: Arc<Inner>,
    /// The operator on whose behalf this handle writes, for the audit.
    actor: Option<Arc<Actor>>,
    /// The provisioning service that audit records name.
    id_scope: Option<Arc<IdScope>>,
}

struct Inner {
    store: AuditedStore,
    logs: HubLogs,
    entropy: Arc<dyn Entropy>,
    hubs: Arc<LocalHubsNow>,
    watchers: Arc<Watchers>,
    configurations: ConfigurationCache,
    routing: Arc<RoutingNow>,
    revocations: Arc<Revocations>,
    /// Twins that listings leave out.
    unreadable: Unreadable,
    /// Identities that listings leave out.
    unlisted: Unreadable,
    /// Devices that deployments skip.
    undeployed: Unreadable,
    renamed: Option<Renamed>,
}

impl Registry {
    /// Opens a data directory for the hubs alone. See [`open_with`](Self::open_with).
    pub async fn open(
        data_dir: &Path,
        init: Init,
        retention: Retention,
        now: Timestamp,
    ) -> Result<Self, OpenError> {
        Self::open_with(data_dir, init, retention, now, |_, _| Ok(())).await
    }

    /// Opens (and, when it is empty, initialises) a data directory and locks it for this
    /// process. Initialising is one transaction, of which `prepare` is the last part: a crash
    /// leaves nothing or everything.
    ///
    /// # Errors
    /// When the directory is held by another process, cannot be written, is damaged or was written
    /// by a newer version.
    pub async fn open_with<F>(
        data_dir: &Path,
        init: Init,
        retention: Retention,
        now: Timestamp,
        prepare: F,
    ) -> Result<Self, OpenError>
    where
        F: Fn(&Tx<'_>, &FirstHub) -> Result<(), StoreError> + Send + 'static,
    {
        let directory = DataDirectory::lock(data_dir)?;
        let options = StoreOptions {
            audit: retention.audit,
            rehearse: init.rehearse,
        };
        let store = AuditedStore::new(Store::open(directory, options)?);
        let entropy = init.entropy.clone();
        let initialise = Initialise::new(init, prepare, now);
        let renamed = store.write_without_act(initialise).await?;
        let hubs = store.read(local_hubs::read)?;
        let names: Vec<_> = hubs.hubs.iter().map(|hub| hub.name.clone()).collect();
        let routing = store.read(|view| RoutingNow::read(view, &names))?;
        let routing = Arc::new(routing);
        let telemetry = retention.telemetry;
        let logs = HubLogs::open(data_dir, &names, telemetry, entropy.clone()).await?;
        readers::rewind(&store, &logs, &names).await?;
        let revocations = store.read(revocations::read)?;
        let inner = Inner {
            store,
            logs,
            entropy,
            hubs: Arc::new(LocalHubsNow::new(hubs)),
            watchers: Arc::new(Watchers::new(routing.clone())),
            configurations: ConfigurationCache::default(),
            routing,
            revocations: Arc::new(revocations),
            unreadable: Unreadable::default(),
            unlisted: Unreadable::default(),
            undeployed: Unreadable::default(),
            renamed,
        };
        Ok(Self {
            inner: Arc::new(inner),
            actor: None,
            id_scope: None,
        })
    }

    /// Reads a data directory, also while a server has it open.
    pub fn describe<T>(
        data_dir: &Path,
        read: impl FnOnce(&store::View<'_>) -> Result<T, StorageError>,
    ) -> Result<(LocalHubs, T), OpenError> {
        let store = Store::open_read_only(data_dir)?;
        let both = |view: &store::View<'_>| Ok((local_hubs::read(view)?, read(view)?));
        store.read(both)
    }

    /// Names folders that have a folder for each hub, under its name. That of a hub is deleted with
    /// the hub, and before another of its name is created.
    pub fn set_hub_folders(&self, folders: Vec<std::path::PathBuf>) {
        self.inner.logs.set_shared_folders(folders);
    }

    /// Adds a watcher; it hears of every change committed from now on.
    pub fn watch(&self, watcher: Arc<dyn Watcher>) {
        self.inner.watchers.add(watcher);
    }

    /// The hubs that live here, as of the last commit. A pointer, no I/O.
    #[must_use]
    pub fn hubs(&self) -> Arc<LocalHubs> {
        self.inner.hubs.get()
    }

    /// Whether the server's host name is another one than when the directory was open before.
    #[must_use]
    pub fn renamed(&self) -> Option<&Renamed> {
        self.inner.renamed.as_ref()
    }

    /// The same registry for requests to a provisioning service: audit records name its ID scope.
    #[must_use]
    pub fn for_scope(&self, id_scope: IdScope) -> Self {
        Self {
            id_scope: Some(Arc::new(id_scope)),
            ..self.clone()
        }
    }

    /// What `provisioning` reads and writes through.
    #[must_use]
    pub fn store(&self) -> &AuditedStore {
        &self.inner.store
    }

    /// Reports changes after the commit of a transaction.
    #[must_use]
    pub fn watchers(&self) -> &Arc<Watchers> {
        &self.inner.watchers
    }

    /// Where keys and ids come from.
    #[must_use]
    pub fn entropy(&self) -> &Arc<dyn Entropy> {
        &self.inner.entropy
    }

    #[must_use]
    pub fn fresh_etag(&self) -> ids::Etag {
        etag::random(random(&*self.inner.entropy))
    }

    /// Commits a small write, and asks the event logs: whether storage can
    /// be written now (`/readyz`).
    pub async fn require_writable(&self) -> Result<(), NotWritable> {
        let touch = unit(
            (),
            |()| vec![Lock::Directory],
            |(), _| Ok::<_, StorageError>(()),
            |(), tx, ()| tx.touch(),
        );
        let touched = self.inner.store.write_without_act(touch).await;
        self.require_telemetry_writable().await?;
        Ok(touched?)
    }
}
