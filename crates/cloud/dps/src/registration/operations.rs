//! What the device API calls: register, poll and look up. Admission comes first, before anything that costs.

use std::net::IpAddr;
use std::sync::Arc;

use ids::RegistrationId;
use serde_json::Value;
use throttle::{AddressPermit, Call, Slot};
use wire::device_api::registration::{CsrClaim, RegistrationState, UnverifiedRegister};

use crate::error::ServiceFault;
use crate::registration::operation::OperationId;
use crate::registration::presented::Presented;
use crate::registration::refusal::{Refusal, RefusalReason};
use crate::registration::register::{self, Register, RegisterError, Registered};
use crate::registration::{look_up, result};
use crate::service::tenants::Tenant;
use crate::service::{Dps, fresh_guid};

/// What a device asks for, beside a hub.
#[derive(Debug, Clone, Copy)]
pub struct RegisterBody<'a> {
    payload: Option<&'a Value>,
    csr: Option<&'a CsrClaim>,
}

impl<'a> RegisterBody<'a> {
    pub fn of(body: &'a UnverifiedRegister) -> Self {
        Self {
            payload: body.payload.as_ref(),
            csr: body.csr.as_ref(),
        }
    }
}

/// A request of a device that may be worked on now, and the service that it means.
pub struct Admitted {
    tenant: Arc<Tenant>,
    slot: Slot,
}
impl Dps {
    /// Keeps a refusal for the operator before its device hears of it; other faults are nobody's refusal.
    pub(crate) async fn note(&self, fault: &ServiceFault, id_scope: &str, from: Option<IpAddr>) {
        let ServiceFault::Refused(refusal) = fault else {
            return;
        };
        let (now, code) = (self.now(), fault.code().code());
        // Whom nobody knows is the concern of the server's owner.
        let tenant = self.tenants().by_scope(id_scope);
        let tenant = tenant.unwrap_or_else(|| self.tenants().first());
        let service = tenant.service();
        let (refused, id_scope) = (self.refused(), service.id_scope.as_str());
        let Some(draft) = refused.turn(id_scope, refusal, code, from, now) else {
            return;
        };
        if let Err(error) = tenant.deps.registry.note_refusal(draft, now).await {
            // It stands all the same, and its log line is written.
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, "a refusal was not kept");
        }
    }

    /// Lets somebody at an address ask for something, or tells it when to ask again. Before anything else: neither is its request read
    /// by then, nor what it is called looked at.
    pub(crate) fn may_ask(&self, from: Option<IpAddr>) -> Result<AddressPermit, ServiceFault> {
        let admission = self.admission();
        Ok(admission.admit_address(from, Call::Start, self.now())?)
    }

    /// Lets a device ask to be registered, or to be told of its registration, or tells it when to come again. Before anything that
    /// costs: neither is its request parsed by then, nor what it presents looked at.
    pub(crate) fn admit(
        &self,
        id_scope: &str,
        registration_id: &RegistrationId,
        presented: Presented<'_>,
        may: AddressPermit,
    ) -> Result<Admitted, ServiceFault> {
        let tenant = self.tenant_of(id_scope, registration_id, presented)?;
        let (service, admission) = (tenant.service(), self.admission());
        let scope = service.id_scope.as_str();
        let slot = admission.register(scope, registration_id, may, self.now())?;
        Ok(Admitted { tenant, slot })
    }

    /// Registers a device and hands it an operation to poll. Whatever the operation will answer is durable by then.
    pub(crate) async fn begin(
        &self,
        admitted: Admitted,
        registration_id: &RegistrationId,
        presented: Presented<'_>,
        body: RegisterBody<'_>,
    ) -> Result<OperationId, ServiceFault> {
        let Admitted { tenant, slot } = admitted;
        let begun = self
            .register(&tenant, registration_id, presented, body)
            .await;
        if begun.is_ok() {
            slot.mark_proven(self.now());
        }
        slot.finish(self.now());
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
            Ok(Registered::PendingRegistration) => self.wake_pending(),
            Ok(Registered::Assigned(assigned)) => {
                result::log_assigned(&assigned.registration);
                if let Some(mark) = presented.mark() {
                    let recent = self.recent();
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
    pub(crate) async fn poll(
        &self,
        id_scope: &str,
        registration_id: &RegistrationId,
        presented: Presented<'_>,
        shown: &str,
    ) -> Result<(OperationId, RegistrationState), ServiceFault> {
        let admission = self.admission();
        let may = admission.admit_address(presented.from, Call::Poll, self.now())?;
        let tenant = self.tenant_of(id_scope, registration_id, presented)?;
        let service = tenant.service();
        let scope = service.id_scope.as_str();
        let _may = admission.poll(scope, registration_id, may, self.now())?;
        let operation = tenant.operations.recognise(registration_id, shown);
        let mark = presented.mark();
        let recent = mark.and_then(|mark| self.recent().find(shown, mark, self.now()));
        if let (Some(operation), Some(record)) = (&operation, recent) {
            return Ok((
                operation.clone(),
                result::told(&record, &tenant.deps.registry)?,
            ));
        }
        let request = Register {
            id_scope: &service.id_scope,
            registration_id,
            presented,
            payload: None,
            csr: None,
        };
        let record = look_up::poll(request, &tenant.deps, self.now()).await?;
        let known = record.and_then(|record| Some((operation?, record)));
        let (operation, record) = known.ok_or(ServiceFault::NoSuchOperation)?;
        Ok((operation, result::told(&record, &tenant.deps.registry)?))
    }

    /// The registration of a device that asks without an operation.
    pub(crate) async fn look_up(
        &self,
        admitted: Admitted,
        registration_id: &RegistrationId,
        presented: Presented<'_>,
    ) -> Result<RegistrationState, ServiceFault> {
        let Admitted { tenant, slot } = admitted;
        let service = tenant.service();
        let request = Register {
            id_scope: &service.id_scope,
            registration_id,
            presented,
            payload: None,
            csr: None,
        };
        let record = look_up::look_up(request, &tenant.deps, self.now()).await;
        if record.is_ok() {
            slot.mark_proven(self.now());
        }
        slot.finish(self.now());
        let missing = || ServiceFault::NoSuchRegistration(registration_id.clone());
        Ok(result::told(
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
        if let Some(tenant) = self.tenants().by_scope(id_scope) {
            return Ok(tenant);
        }
        let given = id_scope.chars().take(64).collect();
        let reason = RefusalReason::UnknownIdScope { given };
        Err(Refusal::of(registration_id, presented.chain, None, reason))
    }
}
