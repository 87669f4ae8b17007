//! Which hub a device gets. Pure: the same enrollment, hubs and registration id always give the same hub.

use aws_lc_rs::digest;
use ids::{DeviceId, HubHost, HubName, RegistrationId};
use registry::{LinkedHub, ProvisioningService};
use wire::enrollment::AllocationPolicy;

use crate::attest::AttestedDevice;

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
    /// A policy that this version does not carry out.
    #[error("the enrollment's allocation policy is not offered by this version")]
    NotOffered,
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
) -> Result<Allocation, AllocationError> {
    let entry = device.enrollment().entry();
    let candidates = candidates(entry.hubs(), &service.hubs)?;
    let hub = match entry.allocation().unwrap_or(service.allocation_policy) {
        AllocationPolicy::Hashed => hashed(device.registration_id(), &candidates)?,
        AllocationPolicy::Static => single(entry.hubs(), &candidates)?,
        AllocationPolicy::GeoLatency | AllocationPolicy::Custom => {
            return Err(AllocationError::NotOffered);
        }
    };
    let hub = hub.name.clone();
    let device_id = entry
        .device_id(device.registration_id())
        .ok_or(AllocationError::NoDeviceId)?;
    Ok(Allocation {
        device,
        hub,
        device_id,
    })
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

fn single<'h>(
    listed: &[HubHost],
    candidates: &[&'h LinkedHub],
) -> Result<&'h LinkedHub, AllocationError> {
    match (listed, candidates) {
        ([_], [hub]) => Ok(hub),
        _ => Err(AllocationError::NotOne(listed.len())),
    }
}

/// Weighted rendezvous hashing: every hub draws a score from the registration id, the highest wins. A hub that joins takes
/// its share evenly from the others and moves nobody else; one that leaves hands its devices out evenly.
fn hashed<'h>(
    registration_id: &RegistrationId,
    candidates: &[&'h LinkedHub],
) -> Result<&'h LinkedHub, AllocationError> {
    if let [only] = candidates {
        return Ok(only);
    }
    let score = |hub: &LinkedHub| score(registration_id, hub);
    candidates
        .iter()
        .copied()
        .max_by(|a, b| score(a).total_cmp(&score(b)))
        .ok_or(AllocationError::NoHub)
}

/// `-weight / ln(u)` with `u` uniform in (0, 1), drawn by hashing; the form of Schindelhauer and Schomaker.
fn score(registration_id: &RegistrationId, hub: &LinkedHub) -> f64 {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(registration_id.folded().as_bytes());
    // No id contains it, so that different pairs cannot make the same text.
    context.update(b"\n");
    context.update(hub.name.as_str().as_bytes());
    let hash = context.finish();
    let mut first = [0; 4];
    first.copy_from_slice(&hash.as_ref()[..4]);
    let uniform = (f64::from(u32::from_be_bytes(first)) + 0.5) / (f64::from(u32::MAX) + 1.0);
    let weight = f64::from(hub.allocation_weight.unwrap_or(1).max(1));
    -weight / uniform.ln()
}

#[cfg(test)]
mod tests;
