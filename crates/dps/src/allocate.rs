//! Which hub a device gets. Pure: the same enrollment, hubs, registration id and client's network always give the same hub.

use std::net::IpAddr;

use ids::{DeviceId, HubHost, HubName};
use registry::{HubReach, LinkedHub, ProvisioningService};
use wire::enrollment::AllocationPolicy;

use crate::attest::AttestedDevice;

mod custom;
mod hashed;
mod nearest;
mod single;

pub use custom::Asking;
use hashed::hashed;
use nearest::nearest;
use single::single;

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
) -> Result<Route, AllocationError> {
    let entry = device.enrollment().entry();
    let candidates = candidates(entry.hubs(), &service.hubs)?;
    let device_id = entry
        .device_id(device.registration_id())
        .ok_or(AllocationError::NoDeviceId)?;
    let hub = match entry.allocation().unwrap_or(service.allocation_policy) {
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
            }));
        }
    };
    Ok(Route::Chosen(Allocation {
        hub: hub.name.clone(),
        device,
        device_id,
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
}

/// The hubs that may be chosen: those listed, or all linked ones; only with allocation on.
fn candidates<'h>(
    listed: &[HubHost],
    linked: &'h [LinkedHub],
) -> Result<Vec<&'h LinkedHub>, AllocationError> {
    let is_listed =
        |hub: &LinkedHub| listed.is_empty() || listed.iter().any(|host| hub.host.same_name(host));
    let found: Vec<&LinkedHub> = linked
        .iter()
        .filter(|hub| hub.apply_allocation_policy && is_listed(hub))
        // Nothing of ours writes to the registry of a hub elsewhere.
        .filter(|hub| hub.reach == HubReach::Here)
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

#[cfg(test)]
mod tests;
