//! The one transaction that registers a device.

use std::sync::Arc;

use ids::{Etag, Timestamp};
use registry::{DeviceLocation, DeviceWriter, NewDevice, Rows, StorageError};
use serde_json::{Value, json};
use store::audit::Book;
use store::{IdentityRow, RegistrationRow, Tx};
use wire::service_api::identity::{Authentication, Status};

use super::judge::{Judged, judge};
use super::pending::write_note;
use super::{end_pending, group_id, new_row, record, write_row};
use crate::detail::Detail;
use crate::pending::AllocationNote;
use crate::provisioning::Provisioning;
use crate::register::{Decision, DeviceStep, OldDevice};
use crate::registration::{
    Assign, AssignError, Assigned, EnrolledBy, Registrant, RegistrationRecord,
};
use crate::service::ProvisioningService;

impl Provisioning {
    /// Writes hub device, twin, system modules and registration record in one transaction.
    ///
    /// # Errors
    /// See [`AssignError`]; nothing was written then.
    pub async fn assign(&self, assign: Assign, now: Timestamp) -> Result<Assigned, AssignError> {
        let told = (!assign.choice.passed_over.is_empty()).then(|| {
            let note = AllocationNote::of(&assign.choice);
            (assign.registrant.clone(), note)
        });
        let mut job = self.assign_job(assign, now);
        let (current, served) = (self.service.clone(), self.inner.services.clone());
        let run = move |tx: &Tx<'_>| {
            // As it is when the writer comes to it: a hub that was unlinked while this waited gets no device.
            let service = served.service_in(tx, &current)?;
            job.service = service.clone();
            if told.is_some() {
                tx.may_turn_back()?;
            }
            let assigned = job.run(tx)?;
            if let Some((registrant, note)) = &told {
                write_note(tx, service.id_scope.as_str(), registrant, note, now)?;
            }
            Ok(assigned)
        };
        self.registry.store().for_device_decided(run).await
    }

    pub(super) fn assign_job(&self, assign: Assign, now: Timestamp) -> AssignJob {
        AssignJob {
            service: self.service(),
            etag: self.registry.fresh_etag(),
            devices: self.registry.device_writer(now),
            payload: assign.choice.payload.as_ref().map(Value::to_string),
            assign,
            now,
        }
    }
}

/// One registration on the writer's thread. All that can be made before is made before.
pub(super) struct AssignJob {
    pub(super) service: Arc<ProvisioningService>,
    etag: Etag,
    pub(super) devices: DeviceWriter,
    payload: Option<String>,
    pub(super) assign: Assign,
    pub(super) now: Timestamp,
}

impl AssignJob {
    pub(super) fn run(self, tx: &Tx<'_>) -> Result<Assigned, AssignError> {
        let id_scope = self.service.id_scope.as_str();
        let registrant = &self.assign.registrant;
        let Judged {
            stored,
            previous,
            decision,
            ..
        } = judge(tx, &self.service, &self.assign)?;
        // An attempt that is under way ends with the record of before.
        let is_first = stored.is_none();
        if decision.step != DeviceStep::Create || decision.old != OldDevice::None || !is_first {
            // What is there is read and changed, and may turn out to be damaged between two writes.
            tx.may_turn_back()?;
        }
        self.leave(tx, previous.as_ref(), &decision)?;
        let device = self.step(tx, &decision)?;
        let device_created = decision.step == DeviceStep::Create;
        enter_issued(tx, id_scope, registrant, self.now)?;
        let found = Found::of(stored.as_ref(), previous.as_ref(), &decision);
        self.enter(tx, &found, &decision)?;
        let registration = self.write_record(tx, stored, decision)?;
        Ok(Assigned {
            registration,
            generation_id: Rows { file: tx.file() }
                .id("generation id", device.generation_id.try_into())?,
            device_created,
        })
    }

    /// Enters it into the audit, and warns of what an operator may not expect.
    pub(super) fn enter(
        &self,
        tx: &Tx<'_>,
        found: &Found,
        decision: &Decision,
    ) -> Result<(), StorageError> {
        let previous = found.enrollment.as_ref();
        let previous = previous.filter(|before| **before != self.assign.registrant.enrollment);
        let told = self.told(previous, found.adopted, decision);
        tx.audit(Book::Decisions, self.now.ticks(), told)?;
        if previous.is_some() || found.adopted {
            let warning = Warning {
                id: self.assign.registrant.registration_id.to_string(),
                place: decision.place.clone(),
                previous: previous.map(named),
                adopted: found.adopted,
            };
            tx.after_commit(move || warning.tell());
        }
        Ok(())
    }

    /// What the audit says of it. Written by hand: it is on the way of every registration.
    fn told(&self, previous: Option<&EnrolledBy>, adopted: bool, decision: &Decision) -> Vec<u8> {
        // Ids have no characters that JSON escapes.
        let (entry, kind) = match &self.assign.registrant.enrollment {
            EnrolledBy::Individual => (
                self.assign.registrant.registration_id.as_str(),
                "individual",
            ),
            EnrolledBy::Group(group) => (group.as_str(), "group"),
        };
        let mut more = match previous {
            Some(previous) => format!(r#","previousEnrollment":"{}""#, named(previous)),
            None => String::new(),
        };
        if adopted {
            more.push_str(r#","adopted":true"#);
        }
        format!(
            r#"{{"kind":"registration.assigned","idScope":"{}","registrationId":"{}","enrollment":"{kind} {entry}","hub":"{}","deviceId":"{}","substatus":"{}"{more}}}"#,
            self.service.id_scope,
            self.assign.registrant.registration_id,
            decision.place.hub,
            decision.place.device_id,
            decision.substatus.as_str(),
        )
        .into_bytes()
    }

    fn leave(
        &self,
        tx: &Tx<'_>,
        previous: Option<&DeviceLocation>,
        decision: &Decision,
    ) -> Result<(), AssignError> {
        let Some(old) = previous.filter(|_| decision.old != OldDevice::None) else {
            return Ok(());
        };
        match decision.old {
            OldDevice::Move => self.devices.move_device(tx, old, &decision.place)?,
            OldDevice::Delete => self.devices.delete(tx, old)?,
            OldDevice::None => {}
        }
        Ok(())
    }

    pub(super) fn step(
        &self,
        tx: &Tx<'_>,
        decision: &Decision,
    ) -> Result<IdentityRow, AssignError> {
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
        self.devices.queue_for_deployments(tx, &device)?;
        Ok(device)
    }

    pub(super) fn create(
        &self,
        tx: &Tx<'_>,
        place: &DeviceLocation,
        authentication: &Authentication,
    ) -> Result<IdentityRow, AssignError> {
        let Assign { registrant, choice } = &self.assign;
        let twin = choice.twin.as_ref().unwrap_or(&registrant.initial_twin);
        let device = NewDevice {
            authentication,
            status: Status::Enabled,
            status_reason: None,
            iot_edge: registrant.iot_edge,
            twin,
        };
        Ok(self.devices.create(tx, place, device)?)
    }

    pub(super) fn write_record(
        self,
        tx: &Tx<'_>,
        stored: Option<RegistrationRow>,
        decision: Decision,
    ) -> Result<RegistrationRecord, AssignError> {
        let is_new = stored.is_none();
        let registrant = &self.assign.registrant;
        let mut row = stored.unwrap_or_else(|| new_row(&registrant.registration_id, self.now));
        // A row without a record is none that is gone on with: see `PendingHandle::stands`.
        if !is_new {
            let id_scope = self.service.id_scope.as_str();
            let stays = Some(&decision.place);
            end_pending(tx, id_scope, &row.folded, stays, self.now)?;
        }
        row.group_id = group_id(&registrant.enrollment);
        "assigned".clone_into(&mut row.status);
        row.substatus = Some(decision.substatus.as_str().to_owned());
        row.hub = Some(decision.place.hub.to_string());
        row.device_id = Some(decision.place.device_id.to_string());
        (row.error_code, row.error_message) = (None, None);
        row.etag = self.etag.to_string();
        row.payload = self.payload;
        row.detail = registrant.detail.as_ref().map(Detail::to_stored);
        row.updated = self.now.ticks();
        write_row(tx, self.service.id_scope.as_str(), &row, is_new)?;
        let rows = Rows { file: tx.file() };
        // The payload was given as a value: no need to read back what was just written.
        row.payload = None;
        let mut record = record(rows, row, &self.service)?;
        record.payload = self.assign.choice.payload;
        Ok(record)
    }
}

/// Whose the registration was, and whether its device was there before any registration made it.
pub(super) struct Found {
    enrollment: Option<EnrolledBy>,
    adopted: bool,
}

impl Found {
    pub(super) fn of(
        stored: Option<&RegistrationRow>,
        previous: Option<&DeviceLocation>,
        decision: &Decision,
    ) -> Self {
        let enrollment = |row: &RegistrationRow| match &row.group_id {
            None => Some(EnrolledBy::Individual),
            // One that cannot be read is found by whoever reads the record.
            Some(group) => group.parse().ok().map(EnrolledBy::Group),
        };
        let stays = previous == Some(&decision.place);
        let is_moved = decision.old == OldDevice::Move;
        Self {
            enrollment: stored.and_then(enrollment),
            adopted: decision.step != DeviceStep::Create && !stays && !is_moved,
        }
    }
}

fn named(enrollment: &EnrolledBy) -> String {
    match enrollment {
        EnrolledBy::Individual => "individual".to_owned(),
        EnrolledBy::Group(group) => format!("group {group}"),
    }
}

/// A registration that an operator may not have meant.
struct Warning {
    id: String,
    place: DeviceLocation,
    previous: Option<String>,
    adopted: bool,
}

impl Warning {
    fn tell(self) {
        let Self { id, place, .. } = &self;
        if let Some(previous) = &self.previous {
            tracing::warn!(
                registration.id = id,
                "registration {id} came through another enrollment than before: {previous}"
            );
        }
        if self.adopted {
            tracing::warn!(
                registration.id = id,
                hub.name = %place.hub,
                device.id = %place.device_id,
                "registration {id} took over device {} of hub {}, which no registration had made",
                place.device_id,
                place.hub
            );
        }
    }
}

/// Enters a certificate into the audit that becomes durable with what `tx` writes.
pub(super) fn enter_issued(
    tx: &Tx<'_>,
    id_scope: &str,
    registrant: &Registrant,
    now: Timestamp,
) -> Result<(), StorageError> {
    let Some(issued) = &registrant.issued else {
        return Ok(());
    };
    let told = json!({
        "kind": "certificate.issued", "idScope": id_scope,
        "registrationId": registrant.registration_id, "issuer": issued.issuer,
        "serialNumber": issued.serial_number, "sha256Thumbprint": issued.sha256_thumbprint.to_string(),
        "notAfterUtc": issued.not_after_utc,
    });
    tx.audit(Book::Decisions, now.ticks(), told.to_string().into_bytes())?;
    Ok(())
}
