use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ids::Timestamp;
use registry::{Actor, Init, LocalHubs, OperatorAct, Particulars, Registry, StorageError};
use store::Unit;

use crate::service::ProvisioningService;

mod act;
mod certificate_log;
mod certificate_report;
mod in_force;
mod init;
mod issued;
mod issuer_settings;
mod issuer_trusts;
mod issuer_users;
mod issuers;
mod renewals;
mod revocation_lists;
mod revocations;
mod services_now;
mod trust_bundles;

mod hubs;
mod links;
mod pins;
mod policies;
mod published;
mod services;

mod blocks;
mod ca_certificates;
mod damaged;
mod enrollments;
mod groups;
mod references;
mod refusals;
mod registrations;
mod remote_tasks;
mod rolls;
mod takeover;

pub use act::Act;
pub use blocks::{BLOCKED, Block, BlockError};
pub use certificate_log::CertificateLog;
pub use registrations::{Busy, CompletedPlacement, MovedData, PendingHandle, PlacementOutcome};
pub use services_now::Services;

use enrollments::EnrollmentCache;
use init::NewService;
use services_now::{ServiceCell, ServicesNow};

/// How much is kept of what happened, and how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// Refusals, since they came last.
    pub refusals: Duration,
    /// Certificates that issuers have issued, since they expired; `None`: for ever.
    pub expired_certificates: Option<Duration>,
    /// What is not of provisioning services alone.
    pub registry: registry::Retention,
}

impl Default for Retention {
    /// Refusals for 30 days, certificates for a year.
    fn default() -> Self {
        Self {
            refusals: Duration::from_secs(30 * 24 * 3600),
            expired_certificates: Some(Duration::from_secs(365 * 24 * 3600)),
            registry: registry::Retention::default(),
        }
    }
}

/// Why a data directory could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It could not be opened, read or initialised.
    #[error(transparent)]
    Registry(#[from] registry::OpenError),
    /// It has not been initialised. Only [`Provisioning::describe`] says so.
    #[error("the data directory holds no provisioning service yet; start the server once")]
    Empty,
}

impl From<StorageError> for OpenError {
    fn from(error: StorageError) -> Self {
        Self::Registry(error.into())
    }
}

/// What a data directory serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    pub services: Services,
    /// The hubs that live in it.
    pub local: LocalHubs,
}

/// The provisioning services of a data directory, seen from one of them: enrollments and
/// registrations are that service's; hubs and devices, in [`registry`](Self::registry), are shared
/// by all. Cheap to clone; all clones share one writer.
///
/// Methods that write return after the commit is durable. Point reads run inline
/// in a few microseconds.
#[derive(Clone)]
pub struct Provisioning {
    inner: Arc<Inner>,
    registry: Registry,
    service: Arc<ServiceCell>,
}

struct Inner {
    services: Arc<ServicesNow>,
    enrollments: EnrollmentCache,
    retention: Duration,
    expired_certificates: Option<Duration>,
}

impl Provisioning {
    /// Opens (and, when it is empty, initialises) a data directory and locks it for this process.
    /// Initialising is one transaction: a crash leaves nothing or everything.
    ///
    /// # Errors
    /// When the directory is held by another process, cannot be written, is damaged or was written
    /// by a newer version.
    pub async fn open(
        data_dir: &Path,
        init: Init,
        retention: Retention,
        now: Timestamp,
    ) -> Result<Self, OpenError> {
        let service = NewService::first(&*init.entropy);
        let registry = Registry::open_with(
            data_dir,
            init,
            retention.registry,
            now,
            move |tx, first_hub| init::prepare(tx, first_hub, &service, now),
        );
        let registry = registry.await?;
        let services = registry.store().read(services_now::read)?;
        let services = Arc::new(ServicesNow::new(services));
        let service = services.cell(|_| true).ok_or(OpenError::Empty)?;
        let provisioning = Self {
            registry: registry.for_scope(service.get().id_scope.clone()),
            inner: Arc::new(Inner {
                services,
                enrollments: EnrollmentCache::default(),
                retention: retention.refusals,
                expired_certificates: retention.expired_certificates,
            }),
            service,
        };
        provisioning.take_over_certificates().await?;
        Ok(provisioning)
    }

    /// Reads what a data directory serves, also while a server has it open.
    pub fn describe(data_dir: &Path) -> Result<Described, OpenError> {
        let (local, services) = Registry::describe(data_dir, services_now::read)?;
        match services.is_empty() {
            true => Err(OpenError::Empty),
            false => Ok(Described { services, local }),
        }
    }

    /// The hubs and devices of the data directory.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// This handle's provisioning service with its linked hubs, as of the last commit.
    /// A pointer, no I/O.
    #[must_use]
    pub fn service(&self) -> Arc<ProvisioningService> {
        self.service.get()
    }

    /// All services, as of the last commit. A pointer, no I/O.
    #[must_use]
    pub fn services(&self) -> Arc<Services> {
        self.inner.services.get()
    }

    /// The same, seen from the service of this ID scope.
    #[must_use]
    pub fn for_scope(&self, id_scope: &str) -> Option<Self> {
        let is_it = |service: &ProvisioningService| service.id_scope.matches(id_scope);
        // Most servers have one service, and every request of a device asks.
        if is_it(&self.service()) {
            return Some(self.clone());
        }
        let service = self.inner.services.cell(is_it)?;
        Some(Self {
            inner: self.inner.clone(),
            registry: self.registry.for_scope(service.get().id_scope.clone()),
            service,
        })
    }

    /// The same, on behalf of an operator: each change is entered into the audit
    /// with the operator's name.
    #[must_use]
    pub fn by(&self, actor: Actor) -> Self {
        Self {
            registry: self.registry.by(actor),
            ..self.clone()
        }
    }

    /// Enters an act that changes nothing, such as showing keys; do it after this.
    pub async fn disclose(
        &self,
        act: impl OperatorAct,
        target: impl Display,
    ) -> Result<(), StorageError> {
        self.registry.disclose(act, target).await
    }

    async fn act<U: Unit>(
        &self,
        act: Act,
        target: impl Display,
        unit: U,
    ) -> Result<U::Output, U::Error> {
        self.registry.act(act, target, unit).await
    }

    async fn act_with_particulars<T, U>(
        &self,
        act: Act,
        target: impl Display,
        unit: U,
    ) -> Result<T, U::Error>
    where
        U: Unit<Output = (T, Particulars)>,
        T: Send + 'static,
    {
        self.registry.act_with_particulars(act, target, unit).await
    }

    fn id_scope(&self) -> String {
        self.service().id_scope.to_string()
    }
}
