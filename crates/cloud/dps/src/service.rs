//! The state that all parts of the provisioning service share, and what the program decides for it.

pub mod tenants;

use std::pin::Pin;
use std::sync::Arc;

use ids::{HubHost, IdScope, Timestamp};
use provisioning::Provisioning;
use tokio::sync::{Mutex, MutexGuard, Notify};
use uuid::Uuid;

use crate::admission::{Admission, AdmissionLimits};
use crate::outbound::{OnBehalf, Outbound};
use crate::refusal_log::Refused;
use crate::registration::attest::Tpms;
use crate::registration::candidates::{GroupCache, KeyedGroups, KnownGroups};
use crate::registration::recent::RecentOperations;
use crate::registration::register::Deps;
use crate::remote_hub::health::HubHealth;

use tenants::Tenants;

/// Tells the time; the program decides how.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Groups kept ready for registration, about 4 KiB each.
const CACHED_GROUPS: usize = 1024;

/// Waits until clients can trust the server under every host that the registry has.
pub type AwaitCertificateForHosts =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// What a program decides for its provisioning services.
#[derive(Clone)]
pub struct DpsOptions {
    /// The server's own host, where operators reach the first service; what their tokens are for.
    pub host: HubHost,
    /// Called after a hub or a service with a host of its own was made, before that is acknowledged. `None`: nobody minds.
    pub await_certificate_for_hosts: Option<AwaitCertificateForHosts>,
    /// Makes calls to webhooks and to remote hubs.
    pub outbound: Arc<dyn Outbound>,
    /// The CAs that issue to devices.
    pub device_issuers: Arc<ca::DeviceIssuers>,
    /// Tells the time.
    pub clock: Clock,
    /// How much devices may ask of it.
    pub limits: AdmissionLimits,
}

/// The provisioning services of a data directory. Cheap to clone.
#[derive(Clone)]
pub struct Dps {
    inner: Arc<Inner>,
}

struct Inner {
    tenants: Tenants,
    recent: RecentOperations,
    /// Told when a registration is under way.
    woken: Notify,
    /// Told when there may be an errand.
    remote_tasks_woken: Notify,
    hub_health: HubHealth,
    admission: Admission,
    refused: Refused,
    /// Held by whoever makes or deletes an issuer: its key is a file, its name a row.
    issuers_change: Mutex<()>,
    options: DpsOptions,
}

impl Dps {
    /// Builds the services over an open registry.
    #[must_use]
    pub fn new(registry: Provisioning, options: DpsOptions) -> Self {
        let tpms = Tpms::of(&registry.service());
        let deps = Deps {
            registry,
            tpms,
            issuers: Arc::default(),
            groups: Arc::new(GroupCache::new(CACHED_GROUPS)),
            known: KnownGroups::default(),
            keyed: KeyedGroups::default(),
            device_issuers: options.device_issuers.clone(),
        };
        let inner = Inner {
            tenants: Tenants::new(deps),
            recent: RecentOperations::default(),
            woken: Notify::new(),
            remote_tasks_woken: Notify::new(),
            hub_health: HubHealth::default(),
            admission: Admission::new(options.limits.clone(), rand::random()),
            refused: Refused::default(),
            issuers_change: Mutex::new(()),
            options,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Sets the gauges of the metrics recorder to what is the case now.
    pub fn show_metrics(&self) {
        self.inner.admission.update_gauges(self.now());
        let services = self.tenants().registry().services();
        for hub in services.iter().flat_map(|service| &service.hubs) {
            self.hub_health().show(hub);
        }
    }

    pub(crate) fn tenants(&self) -> &Tenants {
        &self.inner.tenants
    }

    pub(crate) fn admission(&self) -> &Admission {
        &self.inner.admission
    }

    pub(crate) fn recent(&self) -> &RecentOperations {
        &self.inner.recent
    }

    pub(crate) fn refused(&self) -> &Refused {
        &self.inner.refused
    }

    /// A registration is pending.
    pub(crate) fn wake_pending(&self) {
        self.inner.woken.notify_one();
    }

    /// Returns once there may be an errand. Cancel-safe.
    pub(crate) async fn remote_tasks_woken(&self) {
        self.inner.remote_tasks_woken.notified().await;
    }

    pub(crate) fn wake_remote_tasks(&self) {
        self.inner.remote_tasks_woken.notify_one();
    }

    pub(crate) fn hub_health(&self) -> &HubHealth {
        &self.inner.hub_health
    }

    /// Returns once a registration is under way. Cancel-safe.
    pub(crate) async fn woken(&self) {
        self.inner.woken.notified().await;
    }

    /// Waits until nobody else makes or deletes an issuer.
    pub(crate) async fn issuers_change(&self) -> MutexGuard<'_, ()> {
        self.inner.issuers_change.lock().await
    }

    /// For whose sake calls of a service are made.
    pub(crate) fn on_behalf(&self, id_scope: &IdScope) -> OnBehalf {
        match self.tenants().first().service().id_scope == *id_scope {
            true => OnBehalf::Owner,
            false => OnBehalf::Tenant,
        }
    }

    pub(crate) fn outbound(&self) -> &dyn Outbound {
        &*self.inner.options.outbound
    }

    pub(crate) fn options(&self) -> &DpsOptions {
        &self.inner.options
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.inner.options.clock)()
    }
}

/// A random GUID from this thread's generator, which spares a system call for each.
pub fn fresh_guid() -> Uuid {
    uuid::Builder::from_random_bytes(rand::random()).into_uuid()
}
