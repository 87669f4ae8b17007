use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use ids::{HubHost, HubName, Timestamp};
use store::log::{EventLog, LogOptions};
use store::{DataDirectory, Store};

use crate::change::Watcher;
use crate::entropy::Entropy;
use crate::error::{OpenError, StorageError};
use crate::service::ProvisioningService;

mod init;
mod rows;
mod watchers;

mod enrollments;
mod registrations;

mod devices;
mod modules;
mod new_identity;
mod twins;

mod apply;
mod compiled;
mod configurations;
mod evaluate;

mod events;

use compiled::ConfigurationCache;
use enrollments::EnrollmentCache;
use watchers::Watchers;

/// Most modules of a device, its system modules not counted.
pub const MAX_MODULES: usize = 50;
/// Most configurations of a hub.
pub const MAX_CONFIGURATIONS: usize = 100;

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

/// The registry of a data directory. Cheap to clone; all clones share one writer.
///
/// Methods that write return after the commit is durable. Point reads run inline in a few microseconds.
#[derive(Clone)]
pub struct Registry {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    log: EventLog,
    entropy: Arc<dyn Entropy>,
    service: RwLock<Arc<ProvisioningService>>,
    watchers: Arc<Watchers>,
    enrollments: EnrollmentCache,
    configurations: ConfigurationCache,
}

/// Opening and the service itself.
impl Registry {
    /// Opens (and, when it is empty, initialises) a data directory and locks it for this process.
    /// Initialising is one transaction: a crash leaves nothing or everything.
    ///
    /// # Errors
    /// When the directory is held by another process, cannot be written, is damaged or was written by a newer version.
    pub async fn open(data_dir: &Path, init: Init, now: Timestamp) -> Result<Self, OpenError> {
        let directory = DataDirectory::lock(data_dir)?;
        let log = EventLog::open(&directory, LogOptions::default())?;
        let store = Store::open(directory)?;
        let entropy = init.entropy.clone();
        store.write(move |tx| init::prepare(tx, &init, now)).await?;
        let service = store.read(init::read)?.ok_or(OpenError::Empty)?;
        let inner = Inner {
            store,
            log,
            entropy,
            service: RwLock::new(Arc::new(service)),
            watchers: Arc::default(),
            enrollments: EnrollmentCache::default(),
            configurations: ConfigurationCache::default(),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Reads the service of a data directory, also while a server has it open.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn describe(data_dir: &Path) -> Result<ProvisioningService, OpenError> {
        Store::open_read_only(data_dir)?
            .read(init::read)?
            .ok_or(OpenError::Empty)
    }

    /// Adds a watcher; it hears of every change committed from now on.
    pub fn watch(&self, watcher: Arc<dyn Watcher>) {
        self.inner.watchers.add(watcher);
    }

    /// The provisioning service with its linked hubs, as of the last commit. A pointer, no I/O.
    #[must_use]
    pub fn service(&self) -> Arc<ProvisioningService> {
        self.inner
            .service
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Commits a small write: whether storage can be written now (`/readyz`).
    ///
    /// # Errors
    /// When it cannot.
    pub async fn require_writable(&self) -> Result<(), StorageError> {
        self.inner.store.write(|tx| Ok(tx.touch()?)).await
    }

    fn id_scope(&self) -> String {
        self.service().id_scope.to_string()
    }
}
