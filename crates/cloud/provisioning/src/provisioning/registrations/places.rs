//! Where a registration's device is and shall be, and whose it is.

use ids::{DeviceId, HubName, RegistrationId};
use registry::{DeviceLocation, Rows, StorageError};
use store::{RegistrationRow, View};

use crate::register::aim;
use crate::registration::{Assign, AssignError, EnrolledBy, Registrant};
use crate::service::{HubReach, LinkedHub, ProvisioningService};

/// The entry still stands that the device proved itself against, and none of the device's own has come before it.
pub(super) fn require_entry(
    view: &View<'_>,
    id_scope: &str,
    registrant: &Registrant,
) -> Result<(), AssignError> {
    let own = registrant.registration_id.folded();
    let group = match &registrant.enrollment {
        EnrolledBy::Individual => None,
        EnrolledBy::Group(group) => Some(group.folded()),
    };
    let found = view.deciding_enrollments(id_scope, own, group.as_deref())?;
    // By kind and etag: entries that refer to the same authority get the same etag when that is written.
    let stands = match (&registrant.enrollment, found.individual, found.group) {
        (EnrolledBy::Individual, Some(etag), _) | (EnrolledBy::Group(_), None, Some(etag)) => {
            etag == registrant.entry.as_str()
        }
        _ => false,
    };
    match stands {
        true => Ok(()),
        false => Err(AssignError::EnrollmentChanged),
    }
}

/// Where the registration is assigned to, and where it shall be. A device that is named after its registration id keeps the first
/// spelling of that id: hubs tell letter cases apart, registrations do not.
///
/// A hub that is no longer linked counts as none: unlinking takes away the right to move or delete what is in it, which may be
/// another service's by now.
pub(super) fn places(
    rows: Rows<'_>,
    service: &ProvisioningService,
    assign: &Assign,
    stored: Option<&RegistrationRow>,
) -> Result<(Option<DeviceLocation>, DeviceLocation), StorageError> {
    let Assign { registrant, choice } = assign;
    let previous = stored.map(|row| assigned_to(rows, row)).transpose()?;
    let previous = previous.flatten();
    let previous = previous.filter(|place| link(service, place).is_some());
    let device_id = match stored {
        Some(stored) if registrant.device_id.as_str() == registrant.registration_id.as_str() => {
            rows.id("registration id", DeviceId::parse(&stored.spelled))?
        }
        _ => registrant.device_id.clone(),
    };
    let wanted = DeviceLocation {
        hub: choice.hub.clone(),
        device_id,
    };
    let wanted = aim(
        previous.as_ref(),
        wanted,
        registrant.policy,
        &choice.passed_over,
    );
    Ok((previous, wanted))
}

/// Where a record says that its device is.
pub(super) fn assigned_to(
    rows: Rows<'_>,
    row: &RegistrationRow,
) -> Result<Option<DeviceLocation>, StorageError> {
    let (Some(hub), Some(device_id)) = (&row.hub, &row.device_id) else {
        return Ok(None);
    };
    Ok(Some(DeviceLocation {
        hub: rows.id("hub", HubName::parse(hub))?,
        device_id: rows.id("device id", DeviceId::parse(device_id))?,
    }))
}

/// The link to the hub of a place.
pub(super) fn link<'s>(
    service: &'s ProvisioningService,
    place: &DeviceLocation,
) -> Option<&'s LinkedHub> {
    let mut hubs = service.hubs.iter();
    hubs.find(|hub| hub.name == place.hub)
}

/// Whether a place is in a hub that does not live here.
pub(super) fn is_remote(service: &ProvisioningService, place: &DeviceLocation) -> bool {
    link(service, place).is_some_and(|hub| hub.reach != HubReach::Here)
}

/// A device that another registration is assigned to is not taken from it.
pub(super) fn require_owner(
    view: &View<'_>,
    service: &ProvisioningService,
    assign: &Assign,
    place: &DeviceLocation,
) -> Result<(), AssignError> {
    let Some(owner) = view.registration_of_device(place.hub.as_str(), place.device_id.as_str())?
    else {
        return Ok(());
    };
    let (hub, device_id) = (&assign.choice.hub, &assign.registrant.device_id);
    let (id_scope, owner) = owner;
    if !service.id_scope.matches(&id_scope) {
        return Err(AssignError::DeviceForeign {
            hub: hub.clone(),
            device_id: device_id.clone(),
        });
    }
    let rows = Rows { file: view.file() };
    let owner: RegistrationId = rows.id("registration id", owner.try_into())?;
    match owner == assign.registrant.registration_id {
        true => Ok(()),
        false => Err(AssignError::DeviceTaken {
            hub: hub.clone(),
            device_id: device_id.clone(),
            owner,
        }),
    }
}
