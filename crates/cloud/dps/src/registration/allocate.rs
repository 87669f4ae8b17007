//! Which hub a device gets. Pure: the same enrollment, hubs and their health, registration id and client's network always give the same
//! hub.

use std::net::IpAddr;

use ids::{DeviceId, HubHost, HubName};
use provisioning::{LinkedHub, PassedOver, ProvisioningService};
use wire::service_api::enrollment::AllocationPolicy;

use crate::registration::attest::AttestedDevice;
use crate::remote_hub::health::HubHealth;

mod custom;
mod hashed;
mod nearest;
mod single;

pub use custom::Asking;
use hashed::hashed;
use nearest::nearest;
use single::single;

pub use single::distinct;

/// How a device gets to its hub.
#[derive(Debug)]
pub enum Route {
    /// It is chosen.
    Chosen(Allocation),
    /// A webhook chooses.
    Asking(Asking),
}

/// A device with a hub chosen for it. Only this file makes one.
///
/// When the device is assigned already and its enrollment never reprovisions, the earlier hub stands; the registry knows,
/// in the same transaction that writes.
#[derive(Debug)]
pub struct Allocation {
    device: AttestedDevice,
    hub: HubName,
    device_id: DeviceId,
    passed_over: Vec<PassedOver>,
}

/// Why no hub could be chosen for a device that is let in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AllocationError {
    /// No linked hub takes part in allocation.
    #[error("no hub is linked to the provisioning service with allocation on")]
    NoHub,
    /// None of the hubs that the enrollment lists is linked with allocation on.
    #[error(
        "none of the enrollment's hubs ({0}) is linked to the provisioning service with allocation on"
    )]
    NoneLinked(String),
    /// Static allocation needs exactly one hub.
    #[error("static allocation needs exactly one hub in the enrollment's iotHubs, which has {0}")]
    NotOne(usize),
    /// Custom allocation without anybody to ask.
    #[error("the enrollment's allocation is custom, and it names no webhook")]
    NoWebhook,
    /// There are candidates, and none of them answers.
    #[error("no hub can take devices now: {0}; the device may register again")]
    AllUnhealthy(String),
    /// The registration id is no device id, and the enrollment names none.
    #[error("the registration id cannot be a device id; give the enrollment a deviceId")]
    NoDeviceId,
}

/// Chooses a hub for a device.
///
/// # Errors
/// When there is none to choose.
pub fn choose(
    device: AttestedDevice,
    service: &ProvisioningService,
    client: Option<IpAddr>,
    hub_health: &HubHealth,
) -> Result<Route, AllocationError> {
    let entry = device.enrollment().entry();
    let policy = entry.allocation().unwrap_or(service.allocation_policy);
    let candidates = candidates(entry.hubs(), &service.hubs)?;
    let (candidates, passed_over) = match policy {
        // Nobody else could take its devices.
        AllocationPolicy::Static => (candidates, Vec::new()),
        _ => living(candidates, hub_health)?,
    };
    let device_id = entry
        .device_id(device.registration_id())
        .ok_or(AllocationError::NoDeviceId)?;
    let hub = match policy {
        AllocationPolicy::Hashed => hashed(device.registration_id(), &candidates)?,
        AllocationPolicy::Static => single(entry.hubs(), &candidates)?,
        AllocationPolicy::GeoLatency => {
            hashed(device.registration_id(), &nearest(client, &candidates))?
        }
        AllocationPolicy::Custom => {
            let definition = entry.webhook().ok_or(AllocationError::NoWebhook)?.clone();
            let hubs = custom::offered(&candidates);
            return Ok(Route::Asking(Asking {
                device,
                device_id,
                definition,
                hubs,
                passed_over,
            }));
        }
    };
    Ok(Route::Chosen(Allocation {
        hub: hub.name.clone(),
        device,
        device_id,
        passed_over,
    }))
}

impl Allocation {
    /// The device.
    #[must_use]
    pub fn device(&self) -> &AttestedDevice {
        &self.device
    }

    /// Its hub.
    #[must_use]
    pub fn hub(&self) -> &HubName {
        &self.hub
    }

    /// Its name there.
    #[must_use]
    pub fn device_id(&self) -> &DeviceId {
        &self.device_id
    }

    /// Hubs that might have been chosen, if they answered.
    #[must_use]
    pub fn passed_over(&self) -> &[PassedOver] {
        &self.passed_over
    }
}

/// The hubs that may be chosen: those listed, or all linked ones; only with allocation on.
fn candidates<'h>(
    listed: &[HubHost],
    linked: &'h [LinkedHub],
) -> Result<Vec<&'h LinkedHub>, AllocationError> {
    let is_listed =
        |hub: &LinkedHub| listed.is_empty() || listed.iter().any(|host| means(host, hub, linked));
    let found: Vec<&LinkedHub> = linked
        .iter()
        .filter(|hub| hub.apply_allocation_policy && is_listed(hub))
        .collect();
    match (found.is_empty(), listed.is_empty()) {
        (false, _) => Ok(found),
        (true, true) => Err(AllocationError::NoHub),
        (true, false) => {
            let hosts: Vec<&str> = listed.iter().map(HubHost::as_str).collect();
            Err(AllocationError::NoneLinked(hosts.join(", ")))
        }
    }
}

/// Whether a host that an enrollment lists means a hub. An operator may leave the port out, and a server's own hub got its port from the
/// server; but of two hubs that differ in nothing but their ports, a port tells which. A host that no hub has any more means the hub that
/// had it.
fn means(listed: &HubHost, hub: &LinkedHub, linked: &[LinkedHub]) -> bool {
    let is_exact = |hub: &LinkedHub| hub.host.is_exactly(listed);
    let may_be = |hub: &LinkedHub| hub.host.may_be(listed);
    if linked.iter().any(is_exact) {
        is_exact(hub)
    } else if linked.iter().any(may_be) {
        may_be(hub)
    } else {
        hub.was_at(listed)
    }
}

/// The candidates that can take devices, and those that were passed over because they cannot.
fn living<'h>(
    candidates: Vec<&'h LinkedHub>,
    hub_health: &HubHealth,
) -> Result<(Vec<&'h LinkedHub>, Vec<PassedOver>), AllocationError> {
    let dead = |hub: &&LinkedHub| {
        let why = hub_health.unhealthy_reason(hub)?;
        Some(PassedOver {
            hub: hub.name.clone(),
            why,
        })
    };
    let passed_over: Vec<PassedOver> = candidates.iter().filter_map(dead).collect();
    if passed_over.is_empty() {
        return Ok((candidates, passed_over));
    }
    let lives = |hub: &&LinkedHub| passed_over.iter().all(|dead| dead.hub != hub.name);
    let living: Vec<&LinkedHub> = candidates.into_iter().filter(lives).collect();
    match living.is_empty() {
        true => {
            let all: Vec<&str> = passed_over.iter().map(|dead| dead.why.as_str()).collect();
            Err(AllocationError::AllUnhealthy(all.join("; ")))
        }
        false => Ok((living, passed_over)),
    }
}

#[cfg(test)]
mod tests;
