//! Rows of registrations, and the records that they are.

use ids::{DeviceId, EnrollmentId, Etag, HubName, RegistrationId, Timestamp};
use store::{RegistrationRow, StoreError, Tx, View};

use crate::detail::Detail;
use crate::registration::{EnrolledBy, RegistrationRecord, RegistrationState, Substatus};
use crate::service::ProvisioningService;

/// The status of a record whose registration is pending.
pub(super) const ASSIGNING: &str = "assigning";
/// The status of a record whose device has a hub.
pub(super) const ASSIGNED: &str = "assigned";
/// The status of a record whose last attempt failed.
pub(super) const FAILED: &str = "failed";
/// The status of a record whose device was refused because its enrollment is disabled.
pub(super) const DISABLED: &str = "disabled";

fn substatus(view: &View<'_>, text: Option<&str>) -> Result<Substatus, StoreError> {
    text.and_then(Substatus::named)
        .ok_or_else(|| view.damaged("substatus", "not a substatus"))
}

/// The substatus of the assignment that stands; also while a later attempt is pending or has
/// failed, if it is still known.
pub(super) fn previous_substatus(row: &RegistrationRow) -> Option<Substatus> {
    Substatus::named(row.substatus.as_deref()?)
}

/// A record as it is stored.
pub(super) fn record(
    view: &View<'_>,
    row: RegistrationRow,
    service: &ProvisioningService,
) -> Result<RegistrationRecord, StoreError> {
    let assignment = match (row.hub, row.device_id) {
        (Some(hub), Some(device)) => {
            let hub: HubName = view.decoded("hub", hub.try_into())?;
            Some((hub, view.decoded("device id", DeviceId::try_from(device))?))
        }
        _ => None,
    };
    let json = |text: Option<String>| {
        text.map(|text| view.decoded("registration", serde_json::from_str(&text)))
            .transpose()
    };
    let state = match (row.status.as_str(), assignment) {
        (ASSIGNED, Some((hub, device_id))) => RegistrationState::Assigned {
            host: service.hub(&hub).map(|linked| linked.host.clone()),
            hub,
            device_id,
            substatus: substatus(view, row.substatus.as_deref())?,
        },
        (ASSIGNING, previous) => RegistrationState::Assigning { previous },
        (DISABLED, previous) => RegistrationState::Disabled { previous },
        (_, previous) => RegistrationState::Failed {
            code: row.error_code.unwrap_or_default(),
            message: row.error_message.unwrap_or_default(),
            previous,
        },
    };
    let group = row
        .group_id
        .map(|group| view.decoded("enrollment group id", EnrollmentId::try_from(group)));
    Ok(RegistrationRecord {
        registration_id: view.decoded("registration id", row.spelled.try_into())?,
        enrollment: group
            .transpose()?
            .map_or(EnrolledBy::Individual, EnrolledBy::Group),
        state,
        etag: view.decoded("etag", row.etag.try_into())?,
        created: Timestamp::from_ticks(row.created),
        updated: Timestamp::from_ticks(row.updated),
        payload: json(row.payload)?,
        detail: row.detail.map(Detail::stored),
    })
}

pub(super) fn group_id(enrollment: &EnrolledBy) -> Option<String> {
    match enrollment {
        EnrolledBy::Individual => None,
        EnrolledBy::Group(group) => Some(group.to_string()),
    }
}

/// The row of a registration that begins.
pub(super) fn new_row(id: &RegistrationId, now: Timestamp) -> RegistrationRow {
    RegistrationRow {
        id: 0,
        folded: id.folded().to_owned(),
        spelled: id.as_str().to_owned(),
        group_id: None,
        status: String::new(),
        substatus: None,
        hub: None,
        device_id: None,
        error_code: None,
        error_message: None,
        etag: String::new(),
        payload: None,
        detail: None,
        created: now.ticks(),
        updated: now.ticks(),
    }
}

/// Inserts a row that has no id yet, or updates one that was read, with the new etag.
pub(super) fn write_row(
    tx: &Tx<'_>,
    id_scope: &str,
    row: &mut RegistrationRow,
    etag: &Etag,
) -> Result<(), StoreError> {
    let before = std::mem::replace(&mut row.etag, etag.to_string());
    match row.id {
        0 => tx.insert_registration(id_scope, row),
        _ => tx.update_registration(id_scope, &before, row),
    }
}
