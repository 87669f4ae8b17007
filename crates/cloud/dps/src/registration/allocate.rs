//! Which hub does a device get? Pure: the same enrollment, hubs and their health, registration id
//! and client's network always give the same hub.

use std::net::IpAddr;

use ids::{DeviceId, HubHost, HubName};
use provisioning::{LinkedHub, ProvisioningService, SkippedHub};
use wire::service_api::enrollment::AllocationPolicy;

use crate::registration::attest::AttestedDevice;
use crate::remote_hub::health::HubHealth;

mod custom;
mod hashed;
mod nearest;
mod single;

pub use custom::CustomAllocation;
pub use single::distinct;

use hashed::hashed;
use nearest::nearest;
use single::single;

/// How a device gets to its hub.
#[derive(Debug)]
pub enum Route {
    Chosen(Allocation),
    /// The webhook of a custom allocation chooses the hub.
    Custom(CustomAllocation),
}

/// A device with a hub chosen for it. Only this file makes one.
///
/// When the device is assigned already and its enrollment never reprovisions, the earlier hub
/// stands; `aim` of the crate `provisioning` decides that, in the same transaction that writes.
#[derive(Debug)]
pub struct Allocation {
    device: AttestedDevice,
    hub: HubName,
    device_id: DeviceId,
    skipped: Vec<SkippedHub>,
}

/// A device for which no hub can be chosen.
#[derive(Debug)]
pub struct Unallocated {
    pub device: AttestedDevice,
    pub error: AllocationError,
}

/// Why no hub can be chosen for a device that is let in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AllocationError {
    #[error("no hub is linked to the provisioning service with allocation on")]
    NoHub,
    #[error(
        "none of the enrollment's hubs ({0}) is linked to the provisioning service with allocation \
         on"
    )]
    NoneLinked(String),
    #[error("static allocation needs exactly one hub in the enrollment's iotHubs, which has {0}")]
    NotOne(usize),
    #[error("the enrollment's allocation is custom, and it names no webhook")]
    NoWebhook,
    /// All candidates are unhealthy.
    #[error("no hub can take devices now: {0}; the device may register again")]
    AllUnhealthy(String),
    #[error("the registration id cannot be a device id; give the enrollment a deviceId")]
    NoDeviceId,
}

/// Chooses a hub for a device.
///
/// Fails when there is none to choose.
pub fn choose(
    device: AttestedDevice,
    service: &ProvisioningService,
    client: Option<IpAddr>,
    hub_health: &HubHealth,
) -> Result<Route, Box<Unallocated>> {
    match decide(&device, service, client, hub_health) {
        Ok(Decision::Hub {
            hub,
            device_id,
            skipped,
        }) => Ok(Route::Chosen(Allocation {
            device,
            hub,
            device_id,
            skipped,
        })),
        Ok(Decision::Ask(question)) => Ok(Route::Custom(CustomAllocation { device, question })),
        Err(error) => Err(Box::new(Unallocated { device, error })),
    }
}

/// What is decided about a device.
enum Decision {
    Hub {
        hub: HubName,
        device_id: DeviceId,
        skipped: Vec<SkippedHub>,
    },
    Ask(custom::WebhookCall),
}

fn decide(
    device: &AttestedDevice,
    service: &ProvisioningService,
    client: Option<IpAddr>,
    hub_health: &HubHealth,
) -> Result<Decision, AllocationError> {
    let enrollment = device.enrollment();
    let policy = enrollment.allocation().unwrap_or(service.allocation_policy);
    let candidates = candidates(enrollment.hubs(), &service.hubs)?;
    let (candidates, skipped) = match policy {
        // No other hub could take its devices.
        AllocationPolicy::Static => (candidates, Vec::new()),
        _ => healthy(candidates, hub_health)?,
    };
    let device_id = enrollment
        .device_id(device.registration_id())
        .ok_or(AllocationError::NoDeviceId)?;
    let hub = match policy {
        AllocationPolicy::Hashed => hashed(device.registration_id(), &candidates)?,
        AllocationPolicy::Static => single(enrollment.hubs(), &candidates)?,
        AllocationPolicy::GeoLatency => {
            hashed(device.registration_id(), &nearest(client, &candidates))?
        }
        AllocationPolicy::Custom => {
            let webhook = enrollment.webhook().ok_or(AllocationError::NoWebhook)?;
            return Ok(Decision::Ask(custom::WebhookCall {
                device_id,
                webhook: webhook.clone(),
                hubs: custom::offered(&candidates),
                skipped,
            }));
        }
    };
    Ok(Decision::Hub {
        hub: hub.name.clone(),
        device_id,
        skipped,
    })
}

impl Route {
    pub fn device(&self) -> &AttestedDevice {
        match self {
            Self::Chosen(allocation) => allocation.device(),
            Self::Custom(custom) => custom.device(),
        }
    }
}

impl Allocation {
    pub fn device(&self) -> &AttestedDevice {
        &self.device
    }

    pub fn hub(&self) -> &HubName {
        &self.hub
    }

    /// The name of the device at its hub.
    pub fn device_id(&self) -> &DeviceId {
        &self.device_id
    }

    /// Unhealthy hubs that might have been chosen otherwise.
    pub fn skipped(&self) -> &[SkippedHub] {
        &self.skipped
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

/// Whether a host that an enrollment lists means a hub. An operator may leave the port out, and a
/// server's own hub got its port from the server; but of two hubs that differ in nothing but their
/// ports, a port decides. A host that no hub has any more means the hub that had it.
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

/// The candidates that can take devices, and those that are skipped because they cannot.
fn healthy<'h>(
    candidates: Vec<&'h LinkedHub>,
    hub_health: &HubHealth,
) -> Result<(Vec<&'h LinkedHub>, Vec<SkippedHub>), AllocationError> {
    let unhealthy = |hub: &&LinkedHub| {
        let why = hub_health.unhealthy_reason(hub)?;
        Some(SkippedHub {
            hub: hub.name.clone(),
            why,
        })
    };
    let skipped: Vec<SkippedHub> = candidates.iter().filter_map(unhealthy).collect();
    if skipped.is_empty() {
        return Ok((candidates, skipped));
    }
    let is_healthy = |hub: &&LinkedHub| skipped.iter().all(|skipped| skipped.hub != hub.name);
    let healthy: Vec<&LinkedHub> = candidates.into_iter().filter(is_healthy).collect();
    match healthy.is_empty() {
        true => {
            let all: Vec<&str> = skipped.iter().map(|skipped| skipped.why.as_str()).collect();
            Err(AllocationError::AllUnhealthy(all.join("; ")))
        }
        false => Ok((healthy, skipped)),
    }
}

#[cfg(test)]
mod tests;
