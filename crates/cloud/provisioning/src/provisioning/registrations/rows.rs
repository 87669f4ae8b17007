//! Rows of registrations, and the records that they are.

use ids::{EnrollmentId, Etag, RegistrationId, Timestamp};
use store::{RegistrationRow, RegistrationStatus, StoreError, Tx, View};

use crate::detail::Detail;
use crate::registration::{EnrolledBy, RegistrationRecord, RegistrationState};
use crate::service::ProvisioningService;

/// A record as it is stored.
pub(super) fn record(
    view: &View<'_>,
    row: RegistrationRow,
    service: &ProvisioningService,
) -> Result<RegistrationRecord, StoreError> {
    let payload = row.payload.as_deref().map(serde_json::from_str);
    let device = row.device.map(|at| (at.hub, at.device_id));
    let state = match (row.status, device) {
        (RegistrationStatus::Assigned, Some((hub, device_id))) => RegistrationState::Assigned {
            host: service.hub(&hub).map(|linked| linked.host.clone()),
            hub,
            device_id,
            substatus: row
                .substatus
                .ok_or_else(|| view.damaged("substatus", "is missing"))?,
        },
        (RegistrationStatus::Assigning, previous) => RegistrationState::Assigning { previous },
        (RegistrationStatus::Disabled, previous) => RegistrationState::Disabled { previous },
        (RegistrationStatus::Assigned | RegistrationStatus::Failed, previous) => {
            RegistrationState::Failed {
                code: row.error_code.unwrap_or_default(),
                message: row.error_message.unwrap_or_default(),
                previous,
            }
        }
    };
    Ok(RegistrationRecord {
        registration_id: row.registration_id,
        enrollment: enrolled_by(row.group),
        state,
        etag: row.etag,
        created: Timestamp::from_ticks(row.created),
        updated: Timestamp::from_ticks(row.updated),
        payload: view.decoded("payload", payload.transpose())?,
        detail: row.detail.map(Detail::stored),
    })
}

pub(super) fn enrolled_by(group: Option<EnrollmentId>) -> EnrolledBy {
    group.map_or(EnrolledBy::Individual, EnrolledBy::Group)
}

pub(super) fn group(enrollment: &EnrolledBy) -> Option<&EnrollmentId> {
    match enrollment {
        EnrolledBy::Individual => None,
        EnrolledBy::Group(group) => Some(group),
    }
}

/// A record to be inserted, or to be written over the one that was read.
pub(super) struct RecordWrite {
    pub(super) row: RegistrationRow,
    /// The etag of the row that was read; `None` for a new record.
    before: Option<Etag>,
}

impl RecordWrite {
    /// The stored row, or a new one, after an attempt that came to `status`.
    pub(super) fn new(
        stored: Option<RegistrationRow>,
        id: &RegistrationId,
        status: RegistrationStatus,
        etag: &Etag,
        now: Timestamp,
    ) -> Self {
        let (row, before) = match stored {
            Some(mut row) => {
                let before = std::mem::replace(&mut row.etag, etag.clone());
                (row, Some(before))
            }
            None => (new_row(id, status, etag, now), None),
        };
        let row = RegistrationRow {
            status,
            updated: now.ticks(),
            ..row
        };
        Self { row, before }
    }

    pub(super) fn write(&self, tx: &Tx<'_>, id_scope: &str) -> Result<(), StoreError> {
        match &self.before {
            None => tx.insert_registration(id_scope, &self.row),
            Some(before) => tx.update_registration(id_scope, before, &self.row),
        }
    }
}

fn new_row(
    id: &RegistrationId,
    status: RegistrationStatus,
    etag: &Etag,
    now: Timestamp,
) -> RegistrationRow {
    RegistrationRow {
        id: 0,
        registration_id: id.clone(),
        group: None,
        status,
        substatus: None,
        device: None,
        error_code: None,
        error_message: None,
        etag: etag.clone(),
        payload: None,
        detail: None,
        created: now.ticks(),
        updated: now.ticks(),
    }
}
