//! What the audit and the log say of an assignment.

use store::audit::AuditStream;
use store::{DeviceLocation, RegistrationRow, StoreError, Tx};

use super::super::rows::enrolled_by;
use super::AssignJob;
use crate::register::{Decision, DeviceStep, OldDevice};
use crate::registration::EnrolledBy;

impl AssignJob {
    /// Enters the assignment into the audit, and warns of what an operator may not expect.
    pub(in super::super) fn enter(
        &self,
        tx: &Tx<'_>,
        id_scope: &str,
        found: &Found,
        decision: &Decision,
    ) -> Result<(), StoreError> {
        let previous = found.enrollment.as_ref();
        let previous = previous.filter(|before| **before != self.assign.registrant.enrollment);
        let body = self.audit_body(id_scope, previous, found.adopted, decision);
        tx.audit(AuditStream::Decisions, self.now.ticks(), body)?;
        if previous.is_some() || found.adopted {
            let warning = Warning {
                id: self.assign.registrant.registration_id.to_string(),
                place: decision.place.clone(),
                previous: previous.map(named),
                adopted: found.adopted,
            };
            tx.after_commit(move || warning.log());
        }
        Ok(())
    }

    /// The audit record. Written by hand: it is on the way of every registration.
    fn audit_body(
        &self,
        id_scope: &str,
        previous: Option<&EnrolledBy>,
        adopted: bool,
        decision: &Decision,
    ) -> Vec<u8> {
        // Ids have no characters that JSON escapes.
        let (enrollment, kind) = match &self.assign.registrant.enrollment {
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
            r#"{{"kind":"registration.assigned","idScope":"{}","registrationId":"{}","enrollment":"{kind} {enrollment}","hub":"{}","deviceId":"{}","substatus":"{}"{more}}}"#,
            id_scope,
            self.assign.registrant.registration_id,
            decision.place.hub,
            decision.place.device_id,
            decision.substatus.name(),
        )
        .into_bytes()
    }
}

/// The enrollment of an earlier registration, and whether its device was there before
/// any registration made it.
pub(in super::super) struct Found {
    enrollment: Option<EnrolledBy>,
    adopted: bool,
}

impl Found {
    pub(in super::super) fn new(
        stored: Option<&RegistrationRow>,
        previous: Option<&DeviceLocation>,
        decision: &Decision,
    ) -> Self {
        let stays = previous == Some(&decision.place);
        let is_moved = decision.old == OldDevice::Move;
        Self {
            enrollment: stored.map(|row| enrolled_by(row.group.clone())),
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
    fn log(self) {
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
