//! The provisioning service: proof of identity → which enrollment → which hub, which device, which first twin.
//!
//! Start with `register.rs`. Two doors lead to it, `http` and `mqtt`; they only decode, call and encode. `admin` is what operators do.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        reason = "a test that meets an error has failed and may say so by panicking"
    )
)]

mod register;

mod presented;

mod admission;

mod allocate;
mod attest;
mod enrollment;
mod issue;

mod health;
mod outbound;
mod pending;
mod remote_hub;
mod remote_tasks;

mod lookup;
mod operation;
mod recent;
mod state;

mod certificate;
mod expiry;
mod explain;
mod refusal;
mod refused;

mod admin;
mod ca_certificate;
mod resource;
mod serving;
mod tenants;

mod error;
mod http;
mod mqtt;

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use ids::{HubHost, IdScope, RegistrationId, Timestamp};
use pki::PeerChain;
use registry::{RegistrationRecord, Registry};
use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard, Notify, watch};
use uuid::Uuid;
use wire::device_api::registration::{CsrClaim, RegistrationState, UnverifiedRegister};

use ::mqtt::{Connect, ConnectRefused};

use crate::admission::{Admission, MayAsk, Place};
use crate::attest::Tpms;
use crate::enrollment::{GroupCache, KeyedGroups, KnownGroups};
use crate::error::ServiceFault;
use crate::health::HubHealth;
use crate::operation::OperationId;
use crate::presented::Presented;
use crate::recent::RecentOperations;
use crate::refusal::{Refusal, RefusalReason};
use crate::refused::Refused;
use crate::register::{Deps, Register, RegisterError, Registered};
use crate::tenants::{Tenant, Tenants};

pub mod usable;

pub use crate::admission::AdmissionLimits;
pub use crate::mqtt::DpsSession;
pub use crate::outbound::{
    Answering, OnBehalf, Outbound, OutboundAnswer, OutboundCall, OutboundFault,
};
pub use registry::ClientAddress;

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

/// What a device asks for, beside a hub.
#[derive(Debug, Clone, Copy)]
struct RegisterBody<'a> {
    payload: Option<&'a Value>,
    csr: Option<&'a CsrClaim>,
}

impl<'a> RegisterBody<'a> {
    fn of(body: &'a UnverifiedRegister) -> Self {
        Self {
            payload: body.payload.as_ref(),
            csr: body.csr.as_ref(),
        }
    }
}

/// A request of a device that may be worked on now, and the service that it means.
struct Admitted {
    tenant: Arc<Tenant>,
    place: Place,
}

impl Dps {
    /// Builds the services over an open registry.
    #[must_use]
    pub fn new(registry: Registry, options: DpsOptions) -> Self {
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

    /// Answers a request to any of its HTTP paths, for devices and operators. The client's chain is the request extension
    /// [`PeerChain`], its address [`ClientAddress`]. See [`Dps::serves`] for sharing a port.
    pub async fn answer(&self, request: axum::extract::Request) -> axum::response::Response {
        http::respond(self, request).await
    }

    /// Whether a request path belongs to the provisioning service, when several services share a port.
    #[must_use]
    pub fn serves(path: &str) -> bool {
        http::serves(path)
    }

    /// Accepts the connection of a device that wants to register. Whether it may is told in the answer to its request.
    ///
    /// # Errors
    /// When the CONNECT is not one that a device of this service sends; says what CONNACK answers, and the reason for the log.
    pub fn mqtt(&self, connect: &Connect, chain: PeerChain) -> Result<DpsSession, ConnectRefused> {
        mqtt::accept(self, connect, chain)
    }

    /// Keeps a refusal for the operator before its device hears of it; other faults are nobody's refusal.
    async fn note(&self, fault: &ServiceFault, id_scope: &str, from: Option<IpAddr>) {
        let ServiceFault::Refused(refusal) = fault else {
            return;
        };
        let (now, code) = (self.now(), fault.code().code());
        // Whom nobody knows is the concern of the server's owner.
        let tenant = self.tenants().by_scope(id_scope);
        let tenant = tenant.unwrap_or_else(|| self.tenants().first());
        let service = tenant.service();
        let (refused, id_scope) = (&self.inner.refused, service.id_scope.as_str());
        let Some(draft) = refused.turn(id_scope, refusal, code, from, now) else {
            return;
        };
        if let Err(error) = tenant.deps.registry.note_refusal(draft, now).await {
            // It stands all the same, and its log line is written.
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, "a refusal was not kept");
        }
    }

    /// Sets the gauges of the metrics recorder to what is the case now.
    pub fn show_metrics(&self) {
        self.inner.admission.show(self.now());
        let served = self.tenants().registry().served();
        for hub in served.services.iter().flat_map(|service| &service.hubs) {
            self.hub_health().show(hub);
        }
    }

    /// Lets somebody at an address ask for something, or tells it when to ask again. Before anything else: neither is its request read
    /// by then, nor what it is called looked at.
    fn may_ask(&self, from: Option<IpAddr>) -> Result<MayAsk, ServiceFault> {
        Ok(self.inner.admission.ask(from, self.now())?)
    }

    /// Lets a device ask to be registered, or to be told of its registration, or tells it when to come again. Before anything that
    /// costs: neither is its request parsed by then, nor what it presents looked at.
    fn admit(
        &self,
        id_scope: &str,
        registration_id: &RegistrationId,
        presented: Presented<'_>,
        may: MayAsk,
    ) -> Result<Admitted, ServiceFault> {
        let tenant = self.tenant_of(id_scope, registration_id, presented)?;
        let (service, admission) = (tenant.service(), &self.inner.admission);
        let scope = service.id_scope.as_str();
        let place = admission.register(scope, registration_id, may, self.now())?;
        Ok(Admitted { tenant, place })
    }

    /// Registers a device and hands it an operation to poll. Whatever the operation will answer is durable by then.
    async fn begin(
        &self,
        admitted: Admitted,
        registration_id: &RegistrationId,
        presented: Presented<'_>,
        body: RegisterBody<'_>,
    ) -> Result<OperationId, ServiceFault> {
        let Admitted { tenant, place } = admitted;
        let begun = self
            .register(&tenant, registration_id, presented, body)
            .await;
        if begun.is_ok() {
            place.proved(self.now());
        }
        place.done(self.now());
        begun
    }

    async fn register(
        &self,
        tenant: &Tenant,
        registration_id: &RegistrationId,
        presented: Presented<'_>,
        body: RegisterBody<'_>,
    ) -> Result<OperationId, ServiceFault> {
        let service = tenant.service();
        let request = Register {
            id_scope: &service.id_scope,
            registration_id,
            presented,
            payload: body.payload,
            csr: body.csr,
        };
        let guid = fresh_guid();
        let operation = tenant.operations.issue(registration_id, guid);
        match register::register(request, &tenant.deps, self.hub_health(), self.now()).await {
            Ok(Registered::PendingRegistration) => self.inner.woken.notify_one(),
            Ok(Registered::Assigned(assigned)) => {
                log_assigned(&assigned.registration);
                if let Some(mark) = presented.mark() {
                    let recent = &self.inner.recent;
                    let credential = (mark, presented.expiry());
                    recent.remember(operation.as_str(), credential, assigned.registration);
                }
            }
            Err(RegisterError::Failed(failed, cause)) => tracing::warn!(
                registration.id = %failed.registration_id,
                error.code = failed.failure.code,
                "registration {} failed: {cause}",
                failed.registration_id,
            ),
            Err(RegisterError::NotProven(error)) => return Err(error.into()),
            Err(RegisterError::NotIssued(error)) => return Err(error.into()),
            Err(RegisterError::Storage(error)) => return Err(error.into()),
        }
        Ok(operation)
    }

    /// What became of an operation.
    async fn poll(
        &self,
        id_scope: &str,
        registration_id: &RegistrationId,
        presented: Presented<'_>,
        shown: &str,
    ) -> Result<(OperationId, RegistrationState), ServiceFault> {
        let may = self.inner.admission.ask_again(presented.from, self.now())?;
        let tenant = self.tenant_of(id_scope, registration_id, presented)?;
        let service = tenant.service();
        let (scope, admission) = (service.id_scope.as_str(), &self.inner.admission);
        let _may = admission.poll(scope, registration_id, may, self.now())?;
        let operation = tenant.operations.recognise(registration_id, shown);
        let mark = presented.mark();
        let recent = mark.and_then(|mark| self.inner.recent.find(shown, mark, self.now()));
        if let (Some(operation), Some(record)) = (&operation, recent) {
            return Ok((
                operation.clone(),
                state::told(&record, &tenant.deps.registry)?,
            ));
        }
        let request = Register {
            id_scope: &service.id_scope,
            registration_id,
            presented,
            payload: None,
            csr: None,
        };
        let record = lookup::poll(request, &tenant.deps, self.now()).await?;
        let known = record.and_then(|record| Some((operation?, record)));
        let (operation, record) = known.ok_or(ServiceFault::NoSuchOperation)?;
        Ok((operation, state::told(&record, &tenant.deps.registry)?))
    }

    /// The registration of a device that asks without an operation.
    async fn look_up(
        &self,
        admitted: Admitted,
        registration_id: &RegistrationId,
        presented: Presented<'_>,
    ) -> Result<RegistrationState, ServiceFault> {
        let Admitted { tenant, place } = admitted;
        let service = tenant.service();
        let request = Register {
            id_scope: &service.id_scope,
            registration_id,
            presented,
            payload: None,
            csr: None,
        };
        let record = lookup::look_up(request, &tenant.deps, self.now()).await;
        if record.is_ok() {
            place.proved(self.now());
        }
        place.done(self.now());
        let missing = || ServiceFault::NoSuchRegistration(registration_id.clone());
        Ok(state::told(
            &record?.ok_or_else(missing)?,
            &tenant.deps.registry,
        )?)
    }

    /// The service that a device means.
    fn tenant_of(
        &self,
        id_scope: &str,
        registration_id: &RegistrationId,
        presented: Presented<'_>,
    ) -> Result<Arc<Tenant>, Box<Refusal>> {
        if let Some(tenant) = self.inner.tenants.by_scope(id_scope) {
            return Ok(tenant);
        }
        let given = id_scope.chars().take(64).collect();
        let reason = RefusalReason::UnknownIdScope { given };
        Err(Refusal::of(registration_id, presented.chain, None, reason))
    }

    fn tenants(&self) -> &Tenants {
        &self.inner.tenants
    }

    /// Goes on with registrations that wait for somebody outside, runs errands at remote hubs, asks those how they are, and forgets
    /// refusals that are too old, until `stopping` turns true. What is cut off is begun again at the next start.
    pub async fn run(&self, stopping: watch::Receiver<bool>) {
        tokio::join!(
            pending::run(self, stopping.clone()),
            remote_tasks::run(self, stopping.clone()),
            health::run(self, stopping.clone()),
            expiry::run(self, stopping),
        );
    }

    /// Returns once there may be an errand. Cancel-safe.
    async fn remote_tasks_woken(&self) {
        self.inner.remote_tasks_woken.notified().await;
    }

    fn wake_remote_tasks(&self) {
        self.inner.remote_tasks_woken.notify_one();
    }

    fn hub_health(&self) -> &HubHealth {
        &self.inner.hub_health
    }

    /// Returns once a registration is under way. Cancel-safe.
    async fn woken(&self) {
        self.inner.woken.notified().await;
    }

    /// Waits until nobody else makes or deletes an issuer.
    async fn issuers_change(&self) -> MutexGuard<'_, ()> {
        self.inner.issuers_change.lock().await
    }

    /// For whose sake calls of a service are made.
    fn on_behalf(&self, id_scope: &IdScope) -> OnBehalf {
        match self.tenants().first().service().id_scope == *id_scope {
            true => OnBehalf::Owner,
            false => OnBehalf::Tenant,
        }
    }

    fn outbound(&self) -> &dyn Outbound {
        &*self.inner.options.outbound
    }

    fn options(&self) -> &DpsOptions {
        &self.inner.options
    }

    fn now(&self) -> Timestamp {
        (self.inner.options.clock)()
    }
}

/// What a fleet writes here is thousands of lines a minute; whoever writes the log decides how many are enough.
fn log_assigned(record: &RegistrationRecord) {
    if let Some((hub, device)) = record.assignment() {
        tracing::info!(
            registration.id = %record.registration_id,
            hub.name = %hub,
            device.id = %device,
            "registration {} is assigned to device {device} of hub {hub}",
            record.registration_id,
        );
    }
}

/// A random GUID from this thread's generator, which spares a system call for each.
fn fresh_guid() -> Uuid {
    uuid::Builder::from_random_bytes(rand::random()).into_uuid()
}
