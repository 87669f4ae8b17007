//! The one transaction that registers a device.

use std::sync::Arc;

use ids::{Etag, IdScope, Timestamp};
use registry::{DeviceWriter, NewDevice};
use serde_json::Value;
use store::{
    DeviceLocation, IdentityRow, Lock, RegistrationRow, RegistrationStatus, StoreError, Tx, Unit,
    View,
};
use wire::service_api::identity::{Authentication, Status};

use super::EndPending;
use super::decide::{Decided, Outcome, decide_assignment};
use super::end_pending::device_lock;
use super::locations::require_issuer;
use super::notes::write_note;
use super::rows::{RecordWrite, group, record};
use crate::detail::Detail;
use crate::pending::AllocationNote;
use crate::pins::Proven;
use crate::provisioning::Provisioning;
use crate::provisioning::issued::{enter_issued, issued_locks};
use crate::provisioning::pins::{PinPlan, PinnedDevice};
use crate::provisioning::services_now::{ServiceCell, ServicesNow};
use crate::register::{Decision, DeviceStep, OldDevice};
use crate::registration::{Assign, AssignError, AssignOutcome, Assigned, RegistrationRecord};
use crate::service::ProvisioningService;

mod audit;

pub(super) use audit::Found;

impl Provisioning {
    /// Writes hub device, twin, system modules and registration record in one transaction. Nothing
    /// is written when a hub that does not live here has to be asked first.
    pub async fn assign(
        &self,
        assign: Assign,
        now: Timestamp,
    ) -> Result<AssignOutcome, AssignError> {
        let skips = !assign.choice.skipped.is_empty();
        let assign = AssignDevice {
            note: skips.then(|| AllocationNote::from_choice(&assign.choice)),
            id_scope: self.service().id_scope.clone(),
            service: self.service_reader(),
            job: self.assign_job(assign, now),
        };
        self.registry.store().write_without_act(assign).await
    }

    pub(super) fn assign_job(&self, assign: Assign, now: Timestamp) -> AssignJob {
        AssignJob {
            etag: self.registry.fresh_etag(),
            devices: self.registry.device_writer(now),
            pin: assign.registrant.proven_pin(),
            payload: assign.choice.payload.as_ref().map(Value::to_string),
            assign,
            now,
        }
    }

    pub(super) fn service_reader(&self) -> ServiceReader {
        ServiceReader {
            cell: self.service.clone(),
            services: self.inner.services.clone(),
        }
    }
}

/// Reads the service as it is when the writer comes to a unit: a hub that was unlinked while the
/// unit waited gets no device.
pub(super) struct ServiceReader {
    cell: Arc<ServiceCell>,
    services: Arc<ServicesNow>,
}

impl ServiceReader {
    pub(super) fn read(&self, view: &View<'_>) -> Result<Arc<ProvisioningService>, StoreError> {
        Ok(self.services.service_in(view, &self.cell)?)
    }
}

struct AssignDevice {
    id_scope: IdScope,
    service: ServiceReader,
    job: AssignJob,
    /// Which hubs were skipped, for the operator.
    note: Option<AllocationNote>,
}

#[expect(
    clippy::large_enum_variant,
    reason = "on the way of every registration: nothing is boxed"
)]
enum AssignDevicePlan {
    Assign(AssignPlan),
    NeedsRemoteHub,
}

impl Unit for AssignDevice {
    type Plan = AssignDevicePlan;
    type Output = AssignOutcome;
    type Error = AssignError;

    fn locks(&self) -> Vec<Lock<'_>> {
        let id_scope = self.id_scope.as_str();
        let mut locks = vec![self.job.lock(id_scope), Lock::AllocationLog { id_scope }];
        let issued = self.job.assign.registrant.issued.as_deref();
        locks.extend(
            issued
                .into_iter()
                .flat_map(|issued| issued_locks(id_scope, issued)),
        );
        locks
    }

    fn locks_of_plan<'a>(&'a self, plan: &'a AssignDevicePlan) -> Vec<Lock<'a>> {
        match plan {
            AssignDevicePlan::Assign(plan) => plan.locks(),
            AssignDevicePlan::NeedsRemoteHub => Vec::new(),
        }
    }

    fn decide(&self, view: &View<'_>) -> Result<AssignDevicePlan, AssignError> {
        let service = self.service.read(view)?;
        Ok(match self.job.decide(view, service)? {
            Some(plan) => AssignDevicePlan::Assign(plan),
            None => AssignDevicePlan::NeedsRemoteHub,
        })
    }

    /// A device that is not there may still be another registration's. To look each time would cost
    /// every registration a read.
    fn refuse_taken(&self, view: &View<'_>) -> Result<(), AssignError> {
        let AssignDevicePlan::Assign(plan) = self.decide(view)? else {
            return Ok(());
        };
        plan.require_owner_of_created(view, &self.job.assign)
    }

    fn apply(&self, tx: &Tx<'_>, plan: AssignDevicePlan) -> Result<AssignOutcome, StoreError> {
        let AssignDevicePlan::Assign(plan) = plan else {
            return Ok(AssignOutcome::NeedsRemoteHub);
        };
        let service = plan.service.clone();
        let assigned = self.job.apply(tx, plan)?;
        if let Some(note) = &self.note {
            let registrant = &self.job.assign.registrant;
            write_note(
                tx,
                service.id_scope.as_str(),
                registrant,
                note,
                self.job.now,
            )?;
        }
        Ok(AssignOutcome::Assigned(assigned))
    }
}

/// One registration on the writer's thread. All that can be made before is made before.
pub(super) struct AssignJob {
    etag: Etag,
    pub(super) devices: DeviceWriter,
    payload: Option<String>,
    /// What the certificates may follow that its enrollment pins.
    pin: Option<Proven>,
    pub(super) assign: Assign,
    pub(super) now: Timestamp,
}

/// What is written of a registration.
pub(super) struct AssignPlan {
    pub(super) service: Arc<ProvisioningService>,
    decided: Decided,
    /// A pending attempt ends with the previous record.
    end: Option<EndPending>,
    /// What becomes of the certificates that its enrollment pins.
    pins: Option<PinPlan>,
}

impl AssignPlan {
    pub(super) fn require_owner_of_created(
        &self,
        view: &View<'_>,
        assign: &Assign,
    ) -> Result<(), AssignError> {
        let decided = &self.decided;
        decided.require_owner_of_created(view, &self.service, assign)
    }

    pub(super) fn locks(&self) -> Vec<Lock<'_>> {
        let decided = &self.decided;
        let devices = decided.previous.iter().chain([&decided.decision.place]);
        let devices = devices.map(device_lock);
        let id_scope = self.service.id_scope.as_str();
        devices
            .chain(self.end.iter().flat_map(EndPending::locks))
            .chain(self.pins.iter().flat_map(|pins| pins.locks(id_scope)))
            .collect()
    }
}

impl AssignJob {
    pub(super) fn lock<'a>(&'a self, id_scope: &'a str) -> Lock<'a> {
        let folded = self.assign.registrant.registration_id.folded();
        Lock::Registration { id_scope, folded }
    }

    /// `None` when a remote hub has to be asked first.
    pub(super) fn decide(
        &self,
        view: &View<'_>,
        service: Arc<ProvisioningService>,
    ) -> Result<Option<AssignPlan>, AssignError> {
        let decided = match decide_assignment(view, &service, &self.assign)? {
            Outcome::Here(decided) => decided,
            Outcome::NeedsRemoteHub => return Ok(None),
        };
        require_issuer(view, service.id_scope.as_str(), &self.assign.registrant)?;
        let place = &decided.decision.place;
        let end = match &decided.stored {
            None => None,
            Some(row) => {
                let id_scope = service.id_scope.as_str();
                EndPending::decide(view, id_scope, &row.registration_id, Some(place))?
            }
        };
        let pins = match self.pinned(service.id_scope.as_str()) {
            Some(device) => device.decide(view)?,
            None => None,
        };
        Ok(Some(AssignPlan {
            service,
            decided,
            end,
            pins,
        }))
    }

    fn pinned<'a>(&'a self, id_scope: &'a str) -> Option<PinnedDevice<'a>> {
        Some(PinnedDevice {
            id_scope,
            registration_id: &self.assign.registrant.registration_id,
            proven: self.pin.as_ref()?,
            etag: &self.etag,
            now: self.now,
        })
    }

    pub(super) fn apply(&self, tx: &Tx<'_>, plan: AssignPlan) -> Result<Assigned, StoreError> {
        let AssignPlan {
            service,
            decided,
            end,
            pins,
        } = plan;
        let Decided {
            stored,
            previous,
            decision,
            ..
        } = decided;
        self.leave(tx, previous.as_ref(), &decision)?;
        let device = self.step(tx, &decision)?;
        let device_created = decision.step == DeviceStep::Create;
        let id_scope = service.id_scope.as_str();
        if let Some(issued) = &self.assign.registrant.issued {
            enter_issued(tx, id_scope, issued, self.now)?;
        }
        if let Some((pins, device)) = pins.zip(self.pinned(id_scope)) {
            pins.apply(tx, &device)?;
        }
        let found = Found::new(stored.as_ref(), previous.as_ref(), &decision);
        self.enter(tx, id_scope, &found, &decision)?;
        let registration = self.write_record(tx, &service, stored, end, decision)?;
        Ok(Assigned {
            registration,
            generation_id: device.generation_id,
            device_created,
        })
    }

    /// What becomes of the previous hub device, when it is not the present one.
    fn leave(
        &self,
        tx: &Tx<'_>,
        previous: Option<&DeviceLocation>,
        decision: &Decision,
    ) -> Result<(), StoreError> {
        match (previous, decision.old) {
            (Some(old), OldDevice::Move) => self.devices.move_device(tx, old, &decision.place),
            (Some(old), OldDevice::Delete) => self.devices.delete(tx, old),
            (None, _) | (_, OldDevice::None) => Ok(()),
        }
    }

    pub(super) fn step(&self, tx: &Tx<'_>, decision: &Decision) -> Result<IdentityRow, StoreError> {
        let Assign { registrant, choice } = &self.assign;
        let authentication = registrant.proof.authentication();
        let mut device = match decision.step {
            DeviceStep::Create => self.create(tx, &decision.place, &authentication)?,
            DeviceStep::Refresh | DeviceStep::Reset => {
                self.devices
                    .write_authentication(tx, &decision.place, &authentication)?
            }
        };
        if decision.step != DeviceStep::Create {
            match &choice.twin {
                Some(twin) => self.devices.replace_twin(tx, &decision.place, twin)?,
                None if decision.step == DeviceStep::Reset => {
                    let (iot_edge, twin) = (registrant.iot_edge, &registrant.initial_twin);
                    self.devices.reset(tx, &mut device, iot_edge, twin)?;
                }
                None => {}
            }
        }
        self.devices.queue_for_configurations(tx, &device)?;
        Ok(device)
    }

    pub(super) fn create(
        &self,
        tx: &Tx<'_>,
        place: &DeviceLocation,
        authentication: &Authentication,
    ) -> Result<IdentityRow, StoreError> {
        let Assign { registrant, choice } = &self.assign;
        let twin = choice.twin.as_ref().unwrap_or(&registrant.initial_twin);
        let device = NewDevice {
            authentication,
            status: Status::Enabled,
            status_reason: None,
            iot_edge: registrant.iot_edge,
            twin,
        };
        self.devices.create(tx, place, device)
    }

    pub(super) fn write_record(
        &self,
        tx: &Tx<'_>,
        service: &ProvisioningService,
        stored: Option<RegistrationRow>,
        end: Option<EndPending>,
        decision: Decision,
    ) -> Result<RegistrationRecord, StoreError> {
        let registrant = &self.assign.registrant;
        if let Some(end) = end {
            end.apply(tx, self.now)?;
        }
        let (id, status) = (&registrant.registration_id, RegistrationStatus::Assigned);
        let mut write = RecordWrite::new(stored, id, status, &self.etag, self.now);
        let row = &mut write.row;
        row.group = group(&registrant.enrollment).cloned();
        row.substatus = Some(decision.substatus);
        row.device = Some(decision.place);
        (row.error_code, row.error_message) = (None, None);
        row.payload.clone_from(&self.payload);
        row.detail = registrant.detail.as_ref().map(Detail::to_stored);
        write.write(tx, service.id_scope.as_str())?;
        // The payload was given as a value: no need to read back what was just written.
        write.row.payload = None;
        let mut record = record(tx, write.row, service)?;
        record.payload.clone_from(&self.assign.choice.payload);
        Ok(record)
    }
}
