//! The operations of the device API: register, poll and look up. Admission comes
//! first, before anything that costs.

use std::net::IpAddr;
use std::sync::Arc;

use ids::RegistrationId;
use provisioning::RegistrationRecord;
use throttle::{AddressPermit, Call, Slot};
use wire::device_api::registration::RegistrationState;

use crate::error::ServiceFault;
use crate::refusal_log::KeptRefusal;
use crate::registration::assign::Registered;
use crate::registration::operation_id::OperationId;
use crate::registration::presented::Presented;
use crate::registration::refusal::{Refusal, RefusalReason};
use crate::registration::register::register;
use crate::registration::request::{Register, RegisterBody};
use crate::registration::unregistered::RegisterError;
use crate::registration::{look_up, result};
use crate::service::Dps;
use crate::service::tenants::Tenant;

/// What a device calls itself in a request, and what it presents for it.
#[derive(Clone, Copy)]
pub struct Caller<'a> {
    pub id_scope: &'a str,
    pub registration_id: &'a RegistrationId,
    pub presented: Presented<'a>,
}

/// A request that may be processed now, and the service that it means.
pub struct Admitted {
    tenant: Arc<Tenant>,
    slot: Slot,
}

impl Dps {
    /// The first check, before anything of the request is read.
    pub(crate) fn admit_address(
        &self,
        address: Option<IpAddr>,
    ) -> Result<AddressPermit, ServiceFault> {
        let admission = self.admission();
        Ok(admission.admit_address(address, Call::Start, self.now())?)
    }

    /// The second check, before the request's body is parsed or its credential is looked at.
    pub(crate) fn admit(
        &self,
        caller: Caller<'_>,
        permit: AddressPermit,
    ) -> Result<Admitted, ServiceFault> {
        let tenant = self.tenant_of(caller)?;
        let (service, admission) = (tenant.service(), self.admission());
        let scope = service.id_scope.as_str();
        let slot = admission.register(scope, caller.registration_id, permit, self.now())?;
        Ok(Admitted { tenant, slot })
    }

    /// Registers a device. What the operation will answer to polls is durable by then.
    pub(crate) async fn register(
        &self,
        Admitted { tenant, slot }: Admitted,
        caller: Caller<'_>,
        body: RegisterBody<'_>,
    ) -> Result<OperationId, ServiceFault> {
        let begun = self.begin(&tenant, caller, body).await;
        if begun.is_ok() {
            slot.mark_proven(self.now());
        }
        slot.finish(self.now());
        begun
    }

    async fn begin(
        &self,
        tenant: &Tenant,
        caller: Caller<'_>,
        body: RegisterBody<'_>,
    ) -> Result<OperationId, ServiceFault> {
        let service = tenant.service();
        let (registration_id, presented) = (caller.registration_id, caller.presented);
        let request = Register {
            id_scope: &service.id_scope,
            registration_id,
            presented,
            body,
        };
        let operation = tenant.operations.issue(registration_id, rest::fresh_guid());
        let registered = register(request, &tenant.context, self.hub_health(), self.now());
        match registered.await {
            Ok(Registered::Pending) => self.wake_pending(),
            Ok(Registered::Assigned(assigned)) => {
                result::log_assigned(&assigned.registration);
                if let Some(credential) = presented.credential_fingerprint() {
                    let credential = (credential, presented.expiry());
                    let recent = self.recent_operations();
                    recent.remember(operation.as_str(), credential, assigned.registration);
                }
            }
            Ok(Registered::Failed(failed, cause)) => tracing::warn!(
                registration.id = %failed.registration_id,
                error.code = failed.failure.code,
                "registration {} failed: {cause}",
                failed.registration_id,
            ),
            Err(RegisterError::NotProven(error)) => return Err(error.into()),
            Err(RegisterError::NotIssued(error)) => return Err(error.into()),
        }
        Ok(operation)
    }

    /// The state of the registration that an operation is about.
    pub(crate) async fn poll(
        &self,
        caller: Caller<'_>,
        operation: &str,
    ) -> Result<(OperationId, RegistrationState), ServiceFault> {
        let (admission, presented) = (self.admission(), caller.presented);
        let permit = admission.admit_address(presented.from, Call::Poll, self.now())?;
        let tenant = self.tenant_of(caller)?;
        let service = tenant.service();
        let (scope, id) = (service.id_scope.as_str(), caller.registration_id);
        let _permit = admission.poll(scope, id, permit, self.now())?;
        let verified = tenant.operations.verify(id, operation);
        let recent = presented.credential_fingerprint().and_then(|credential| {
            let recent = self.recent_operations();
            recent.find(operation, credential, self.now())
        });
        if let (Some(operation), Some(record)) = (&verified, recent) {
            return Ok((operation.clone(), describe(&record, &tenant)?));
        }
        let request = Register {
            id_scope: &service.id_scope,
            registration_id: id,
            presented,
            body: RegisterBody::default(),
        };
        let record = look_up::poll(request, &tenant.context, self.now()).await?;
        let known = record.and_then(|record| Some((verified?, record)));
        let (operation, record) = known.ok_or(ServiceFault::NoSuchOperation)?;
        Ok((operation, describe(&record, &tenant)?))
    }

    /// The registration of a device that asks without an operation.
    pub(crate) async fn look_up(
        &self,
        Admitted { tenant, slot }: Admitted,
        caller: Caller<'_>,
    ) -> Result<RegistrationState, ServiceFault> {
        let service = tenant.service();
        let request = Register {
            id_scope: &service.id_scope,
            registration_id: caller.registration_id,
            presented: caller.presented,
            body: RegisterBody::default(),
        };
        let record = look_up::look_up(request, &tenant.context, self.now()).await;
        if record.is_ok() {
            slot.mark_proven(self.now());
        }
        slot.finish(self.now());
        let missing = || ServiceFault::NoSuchRegistration(caller.registration_id.clone());
        describe(&record?.ok_or_else(missing)?, &tenant)
    }

    /// The service that a device means.
    fn tenant_of(&self, caller: Caller<'_>) -> Result<Arc<Tenant>, Box<Refusal>> {
        if let Some(tenant) = self.tenants().by_scope(caller.id_scope) {
            return Ok(tenant);
        }
        let given = caller.id_scope.chars().take(64).collect();
        let reason = RefusalReason::UnknownIdScope { given };
        let chain = caller.presented.chain;
        Err(Refusal::new(caller.registration_id, chain, None, reason))
    }

    /// Keeps a refusal for the operator before its device gets the answer.
    /// Other faults are not kept.
    pub(crate) async fn note_refusal(
        &self,
        fault: &ServiceFault,
        id_scope: &str,
        from: Option<IpAddr>,
    ) {
        let ServiceFault::Refused(refusal) = fault else {
            return;
        };
        // A device that names no service of this server is of concern to the server's owner.
        let tenant = self.tenants().by_scope(id_scope);
        let tenant = tenant.unwrap_or_else(|| self.tenants().first());
        self.keep_refusal(&tenant, &**refusal, from).await;
    }

    /// Keeps a refusal of a service for the operator.
    pub(crate) async fn keep_refusal(
        &self,
        tenant: &Tenant,
        refusal: &impl KeptRefusal,
        from: Option<IpAddr>,
    ) {
        let (now, service) = (self.now(), tenant.service());
        let (log, id_scope) = (self.refusal_log(), service.id_scope.as_str());
        let Some(draft) = log.admit(id_scope, refusal, from, now) else {
            return;
        };
        if let Err(error) = tenant.context.provisioning.note_refusal(draft, now).await {
            // The refusal stands all the same, and its log line is written.
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, "a refusal was not kept");
        }
    }
}

fn describe(
    record: &RegistrationRecord,
    tenant: &Tenant,
) -> Result<RegistrationState, ServiceFault> {
    Ok(result::for_device(record, &tenant.context.provisioning)?)
}
