//! What a registration comes to, before anything of it is written.

use registry::find_device;
use store::{DeviceLocation, IdentityRow, RegistrationRow, View};

use super::locations::{is_remote, link, locations, require_enrollment, require_owner};
use crate::provisioning::Provisioning;
use crate::register::{Decision, DeviceFacts, DeviceStep, decide};
use crate::registration::{Assign, AssignError, Preview, PreviewAt};
use crate::service::ProvisioningService;

/// What a registration comes to.
#[expect(
    clippy::large_enum_variant,
    reason = "on the way of every registration: nothing is boxed"
)]
pub(super) enum Outcome {
    Here(Decided),
    /// A hub that does not live here has to be asked first: the device's own, or the previous one.
    NeedsRemoteHub,
}

/// What is there, and what is decided about it. Only this file makes one.
pub(super) struct Decided {
    /// The record of an earlier attempt.
    pub(super) stored: Option<RegistrationRow>,
    /// Where the registration is assigned to, when it is.
    pub(super) previous: Option<DeviceLocation>,
    pub(super) decision: Decision,
    /// The row of the device at the decided location, when it exists there already.
    existing: Option<IdentityRow>,
}

impl Decided {
    /// Refuses a device that is not there and that another registration is assigned to all the
    /// same. The store refuses it too, when it is written; who has the time asks before.
    pub(super) fn require_owner_of_created(
        &self,
        view: &View<'_>,
        service: &ProvisioningService,
        assign: &Assign,
    ) -> Result<(), AssignError> {
        let place = &self.decision.place;
        match self.decision.step == DeviceStep::Create && self.previous.as_ref() != Some(place) {
            true => require_owner(view, service, assign, place),
            false => Ok(()),
        }
    }

    /// Whether the enrollment makes IoT Edge devices, and the hub device is not one and stays so.
    fn stays_plain(&self, assign: &Assign) -> bool {
        self.decision.step == DeviceStep::Refresh
            && assign.registrant.iot_edge
            && self.existing.as_ref().is_some_and(|row| !row.iot_edge)
    }
}

impl Provisioning {
    /// What [`assign`](Self::assign) would come to now. Writes nothing.
    pub async fn preview(&self, assign: &Assign) -> Result<Preview, AssignError> {
        let service = self.service();
        let preview = |view: &View<'_>| {
            let (previous, at, outcome) = match decide_assignment(view, &service, assign)? {
                Outcome::NeedsRemoteHub => {
                    let (previous, wanted) = remote(view, &service, assign)?;
                    (previous, wanted, PreviewAt::NeedsRemoteHub)
                }
                Outcome::Here(decided) => {
                    decided.require_owner_of_created(view, &service, assign)?;
                    let here = PreviewAt::Here {
                        substatus: decided.decision.substatus,
                        creates_device: decided.decision.step == DeviceStep::Create,
                        stays_plain: decided.stays_plain(assign),
                    };
                    (decided.previous, decided.decision.place, here)
                }
            };
            Ok(Preview {
                hub: at.hub,
                device_id: at.device_id,
                previous: previous.map(|at| (at.hub, at.device_id)),
                at: outcome,
            })
        };
        self.registry.store().read(|view| view.at_once(preview))
    }
}

/// Decides about a registration.
pub(super) fn decide_assignment(
    view: &View<'_>,
    service: &ProvisioningService,
    assign: &Assign,
) -> Result<Outcome, AssignError> {
    let id_scope = service.id_scope.as_str();
    let registrant = &assign.registrant;
    require_enrollment(view, id_scope, registrant)?;
    let stored = view.registration(id_scope, &registrant.registration_id)?;
    let (previous, wanted) = locations(view, service, assign, stored.as_ref())?;
    let is_remote = |at: &DeviceLocation| is_remote(service, at);
    if previous.as_ref().is_some_and(is_remote) || is_remote(&wanted) {
        return Ok(Outcome::NeedsRemoteHub);
    }
    let mut existing = find_device(view, &wanted)?;
    let previous_exists = match &previous {
        Some(previous) if *previous == wanted => existing.is_some(),
        Some(previous) => find_device(view, previous)?.is_some(),
        None => false,
    };
    let facts = DeviceFacts {
        previous: previous.as_ref(),
        previous_exists,
        wanted: &wanted,
        wanted_exists: existing.is_some(),
        substatus: stored.as_ref().and_then(|row| row.substatus),
    };
    let decision = decide(facts, registrant.policy);
    if link(service, &decision.place).is_none() {
        return Err(AssignError::UnknownHub(assign.choice.hub.clone()));
    }
    if existing.is_some() && previous.as_ref() != Some(&decision.place) {
        require_owner(view, service, assign, &decision.place)?;
    }
    if decision.place != wanted {
        existing = find_device(view, &decision.place)?;
    }
    Ok(Outcome::Here(Decided {
        stored,
        previous,
        decision,
        existing,
    }))
}

/// Where the device is and shall be, when a remote hub has to be asked about it.
fn remote(
    view: &View<'_>,
    service: &ProvisioningService,
    assign: &Assign,
) -> Result<(Option<DeviceLocation>, DeviceLocation), AssignError> {
    let id = &assign.registrant.registration_id;
    let stored = view.registration(service.id_scope.as_str(), id)?;
    let (previous, wanted) = locations(view, service, assign, stored.as_ref())?;
    require_owner(view, service, assign, &wanted)?;
    Ok((previous, wanted))
}
