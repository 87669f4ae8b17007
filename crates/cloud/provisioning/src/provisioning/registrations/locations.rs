//! Where the device of a registration is and shall be, and which registration owns it.

use ids::DeviceId;
use registry::StorageError;
use store::{DeviceLocation, RegistrationRow, View};

use super::rows::group;
use crate::issued::EnterError;
use crate::provisioning::issued::admitted_issuer;
use crate::register::aim;
use crate::registration::{Assign, AssignError, EnrolledBy, Registrant};
use crate::service::{HubAccess, LinkedHub, ProvisioningService};

/// Refuses when the enrollment that the device proved itself against has changed, or an individual
/// enrollment of the device has come before its group.
pub(super) fn require_enrollment(
    view: &View<'_>,
    id_scope: &str,
    registrant: &Registrant,
) -> Result<(), AssignError> {
    let (id, group) = (&registrant.registration_id, group(&registrant.enrollment));
    let found = view.deciding_enrollments(id_scope, id, group)?;
    // By kind and etag: enrollments that refer to one CA certificate get the same etag when that is
    // written.
    let stands = match (&registrant.enrollment, found.individual, found.group) {
        (EnrolledBy::Individual, Some(etag), _) | (EnrolledBy::Group(_), None, Some(etag)) => {
            etag == registrant.enrollment_etag
        }
        _ => false,
    };
    match stands {
        true => Ok(()),
        false => Err(AssignError::EnrollmentChanged),
    }
}

/// Refuses when the CA that signed the certificate of a registration is no longer the issuer's:
/// nobody could revoke that certificate.
pub(super) fn require_issuer(
    view: &View<'_>,
    id_scope: &str,
    registrant: &Registrant,
) -> Result<(), AssignError> {
    let Some(issued) = &registrant.issued else {
        return Ok(());
    };
    match admitted_issuer(view, id_scope, issued) {
        Ok(_) => Ok(()),
        Err(EnterError::Storage(error)) => Err(AssignError::Storage(error)),
        Err(_) => Err(AssignError::IssuerChanged(issued.issuer.clone())),
    }
}

/// Where the device of a registration is, and where it shall be. A device that is named
/// after its registration id keeps the first spelling of that id: hubs are
/// case-sensitive, registrations are not.
///
/// A hub that is no longer linked does not count: unlinking takes away the right to move or delete
/// its devices, which may be another service's by now.
pub(super) fn locations(
    view: &View<'_>,
    service: &ProvisioningService,
    assign: &Assign,
    stored: Option<&RegistrationRow>,
) -> Result<(Option<DeviceLocation>, DeviceLocation), StorageError> {
    let Assign { registrant, choice } = assign;
    let previous = stored.and_then(|row| row.device.clone());
    let previous = previous.filter(|at| link(service, at).is_some());
    let device_id = match stored {
        Some(stored) if registrant.device_id.as_str() == registrant.registration_id.as_str() => {
            let id = stored.registration_id.as_str();
            view.decoded("registration id", DeviceId::parse(id))?
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
        &choice.skipped,
    );
    Ok((previous, wanted))
}

/// The link to the hub of a device.
pub(super) fn link<'s>(
    service: &'s ProvisioningService,
    at: &DeviceLocation,
) -> Option<&'s LinkedHub> {
    let mut hubs = service.hubs.iter();
    hubs.find(|hub| hub.name == at.hub)
}

/// Whether a device is in a hub that does not live here.
pub(super) fn is_remote(service: &ProvisioningService, at: &DeviceLocation) -> bool {
    link(service, at).is_some_and(|hub| hub.access != HubAccess::Local)
}

/// Refuses a device that another registration is assigned to.
pub(super) fn require_owner(
    view: &View<'_>,
    service: &ProvisioningService,
    assign: &Assign,
    at: &DeviceLocation,
) -> Result<(), AssignError> {
    let Some(owner) = view.registration_of_device(&at.hub, &at.device_id)? else {
        return Ok(());
    };
    let (hub, device_id) = (&assign.choice.hub, &assign.registrant.device_id);
    if owner.id_scope != service.id_scope {
        return Err(AssignError::DeviceOfOtherService {
            hub: hub.clone(),
            device_id: device_id.clone(),
        });
    }
    let owner = owner.registration_id;
    match owner == assign.registrant.registration_id {
        true => Ok(()),
        false => Err(AssignError::DeviceTaken {
            hub: hub.clone(),
            device_id: device_id.clone(),
            owner,
        }),
    }
}
