//! What a registration comes to, before anything of it is written: read by the transaction that then writes, and by whoever only
//! wants to know.

use registry::{DeviceLocation, Rows, find_device};
use store::{RegistrationRow, View};

use super::places::{is_remote, link, places, require_entry, require_owner};
use super::told;
use crate::provisioning::Provisioning;
use crate::register::{Decision, DeviceStep, Situation, decide};
use crate::registration::{Assign, AssignError, Preview, PreviewAt};
use crate::service::ProvisioningService;

/// What is there, and what is decided about it. Only this file makes one.
pub(super) struct Judged {
    /// The record of an earlier attempt.
    pub(super) stored: Option<RegistrationRow>,
    /// Where the registration is assigned to, when it is.
    pub(super) previous: Option<DeviceLocation>,
    /// What is to be done.
    pub(super) decision: Decision,
    /// Whether the enrollment makes IoT Edge devices, and the hub device is none and stays so.
    stays_plain: bool,
}

impl Provisioning {
    /// What [`assign`](Self::assign) would come to now. Writes nothing.
    ///
    /// # Errors
    /// See [`AssignError`]; never [`AssignError::NeedsRemoteHub`].
    pub async fn preview(&self, assign: &Assign) -> Result<Preview, AssignError> {
        let service = self.service();
        let preview = |view: &View<'_>| {
            let (previous, place, at) = match judge(view, &service, assign) {
                Err(AssignError::NeedsRemoteHub) => {
                    let (previous, wanted) = remote(view, &service, assign)?;
                    (previous, wanted, PreviewAt::NeedsRemoteHub)
                }
                judged => {
                    let judged = judged?;
                    let at = PreviewAt::Here {
                        substatus: judged.decision.substatus,
                        creates_device: judged.decision.step == DeviceStep::Create,
                        stays_plain: judged.stays_plain,
                    };
                    (judged.previous, judged.decision.place, at)
                }
            };
            Ok(Preview {
                hub: place.hub,
                device_id: place.device_id,
                previous: previous.map(|place| (place.hub, place.device_id)),
                at,
            })
        };
        self.registry.store().read(|view| view.at_once(preview))
    }
}

/// Decides about a registration.
pub(super) fn judge(
    view: &View<'_>,
    service: &ProvisioningService,
    assign: &Assign,
) -> Result<Judged, AssignError> {
    let id_scope = service.id_scope.as_str();
    let registrant = &assign.registrant;
    require_entry(view, id_scope, registrant)?;
    let stored = view.registration(id_scope, registrant.registration_id.folded())?;
    let rows = Rows { file: view.file() };
    let (previous, wanted) = places(rows, service, assign, stored.as_ref())?;
    let is_remote = |place: &DeviceLocation| is_remote(service, place);
    if previous.as_ref().is_some_and(is_remote) || is_remote(&wanted) {
        return Err(AssignError::NeedsRemoteHub);
    }
    let existing = find_device(view, &wanted)?;
    let previous_exists = match &previous {
        Some(previous) if *previous == wanted => existing.is_some(),
        Some(previous) => find_device(view, previous)?.is_some(),
        None => false,
    };
    let situation = Situation {
        previous: previous.as_ref(),
        previous_exists,
        wanted: &wanted,
        wanted_exists: existing.is_some(),
        told: stored.as_ref().and_then(told),
    };
    let decision = decide(situation, registrant.policy);
    if link(service, &decision.place).is_none() {
        return Err(AssignError::UnknownHub(assign.choice.hub.clone()));
    }
    if existing.is_some() && previous.as_ref() != Some(&decision.place) {
        require_owner(view, service, assign, &decision.place)?;
    }
    let stays_plain = decision.step == DeviceStep::Refresh
        && registrant.iot_edge
        && match decision.place == wanted {
            true => existing,
            false => find_device(view, &decision.place)?,
        }
        .is_some_and(|device| !device.iot_edge);
    Ok(Judged {
        stored,
        previous,
        decision,
        stays_plain,
    })
}

/// Where the device is and shall be, when a remote hub has to be asked about it.
fn remote(
    view: &View<'_>,
    service: &ProvisioningService,
    assign: &Assign,
) -> Result<(Option<DeviceLocation>, DeviceLocation), AssignError> {
    let id = &assign.registrant.registration_id;
    let stored = view.registration(service.id_scope.as_str(), id.folded())?;
    let rows = Rows { file: view.file() };
    let (previous, wanted) = places(rows, service, assign, stored.as_ref())?;
    require_owner(view, service, assign, &wanted)?;
    Ok((previous, wanted))
}
