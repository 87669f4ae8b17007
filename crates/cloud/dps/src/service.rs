//! The state that all parts of the provisioning service share, and what the program decides for it.

pub mod tenants;

use std::pin::Pin;
use std::sync::Arc;

use ids::{Clock, HubHost, IdScope, Timestamp};
use issuing::est::Est;
use issuing::public::PublicCorner;
use outbound::{OnBehalf, Outbound};
use provisioning::Provisioning;
use tokio::sync::{Mutex, MutexGuard, Notify};

use crate::admission::{Admission, AdmissionLimits};
use crate::refusal_log::RefusalLog;
use crate::registration::context::Context;
use crate::registration::recent_operations::RecentOperations;
use crate::remote_hub::health::HubHealth;
use crate::revocation_lists::gauges::ListGauges;

use tenants::Tenants;

/// Waits until clients can trust the server under every host that the registry has.
pub type AwaitCertificateForHosts =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// What a program decides for its provisioning services.
#[derive(Clone)]
pub struct DpsOptions {
    /// The server's own host, where operators reach the first service. Their tokens are for it.
    pub host: HubHost,
    /// Called after a hub or a service with a host of its own was
    /// created, before that is acknowledged.
    pub await_certificate_for_hosts: Option<AwaitCertificateForHosts>,
    /// Makes calls to webhooks and to remote hubs.
    pub outbound: Arc<dyn Outbound>,
    /// The CAs that issue to devices.
    pub device_issuers: Arc<ca::DeviceIssuers>,
    /// Whether anybody may read the logs of issued certificates, without the certificates.
    pub publishes_logs: bool,
    pub clock: Clock,
    pub limits: AdmissionLimits,
}

/// The provisioning services of a data directory. Cheap to clone.
#[derive(Clone)]
pub struct Dps {
    inner: Arc<Inner>,
}

struct Inner {
    tenants: Tenants,
    recent_operations: RecentOperations,
    /// Notified when a registration is pending.
    pending: Notify,
    /// Notified when there may be a remote task.
    remote_tasks: Notify,
    hub_health: HubHealth,
    list_gauges: ListGauges,
    admission: Admission,
    refusal_log: RefusalLog,
    est: Est,
    public_corner: PublicCorner,
    /// Held while an issuer is created or deleted: its key is a file, its name a row.
    issuers_change: Mutex<()>,
    options: DpsOptions,
}

impl Dps {
    /// Builds the services over open storage.
    #[must_use]
    pub fn new(provisioning: Provisioning, options: DpsOptions) -> Self {
        let context = Context::new(provisioning, options.device_issuers.clone());
        let inner = Inner {
            tenants: Tenants::new(context),
            recent_operations: RecentOperations::default(),
            pending: Notify::new(),
            remote_tasks: Notify::new(),
            hub_health: HubHealth::default(),
            list_gauges: ListGauges::default(),
            admission: Admission::new(options.limits.clone(), rand::random()),
            refusal_log: RefusalLog::default(),
            est: Est::new(rand::random()),
            public_corner: PublicCorner::new(
                options.device_issuers.clone(),
                options.publishes_logs,
            ),
            issuers_change: Mutex::new(()),
            options,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    pub(crate) fn tenants(&self) -> &Tenants {
        &self.inner.tenants
    }

    pub(crate) fn admission(&self) -> &Admission {
        &self.inner.admission
    }

    pub(crate) fn recent_operations(&self) -> &RecentOperations {
        &self.inner.recent_operations
    }

    pub(crate) fn public_corner(&self) -> &PublicCorner {
        &self.inner.public_corner
    }

    pub(crate) fn refusal_log(&self) -> &RefusalLog {
        &self.inner.refusal_log
    }

    pub(crate) fn est(&self) -> &Est {
        &self.inner.est
    }

    /// Wakes the loop that resumes pending registrations.
    pub(crate) fn wake_pending(&self) {
        self.inner.pending.notify_one();
    }

    /// Returns once a registration is pending. Cancel-safe.
    pub(crate) async fn pending(&self) {
        self.inner.pending.notified().await;
    }

    /// Wakes the loop that runs remote tasks.
    pub(crate) fn wake_remote_tasks(&self) {
        self.inner.remote_tasks.notify_one();
    }

    /// Returns once there may be a remote task. Cancel-safe.
    pub(crate) async fn remote_tasks(&self) {
        self.inner.remote_tasks.notified().await;
    }

    pub(crate) fn hub_health(&self) -> &HubHealth {
        &self.inner.hub_health
    }

    pub(crate) fn list_gauges(&self) -> &ListGauges {
        &self.inner.list_gauges
    }

    /// Waits until no other request creates or deletes an issuer.
    pub(crate) async fn issuers_change(&self) -> MutexGuard<'_, ()> {
        self.inner.issuers_change.lock().await
    }

    /// On whose behalf a service makes calls.
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
