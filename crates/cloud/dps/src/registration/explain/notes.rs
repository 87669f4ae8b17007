//! How a registration differs from a first one, in words.

use std::net::IpAddr;

use ids::HubName;
use provisioning::{Preview, PreviewAt, ProvisioningService, ReprovisionPolicy, Substatus};
use wire::muster_api::explain::EarlierAssignment;
use wire::service_api::enrollment::AllocationPolicy;

use crate::registration::allocate::Allocation;

/// About a device that is assigned.
pub(super) fn on_assignment(
    preview: &Preview,
    allocation: &Allocation,
    service: &ProvisioningService,
    client: Option<IpAddr>,
) -> Vec<String> {
    let policy = allocation.device().enrollment().allocation();
    let by_latency = policy.unwrap_or(service.allocation_policy) == AllocationPolicy::GeoLatency;
    let without_address = by_latency && client.is_none();
    let skipped = allocation.skipped().iter();
    let mut notes: Vec<String> = skipped
        .map(|skipped| format!("hub {} is skipped: {}", skipped.hub, skipped.why))
        .collect();
    notes.extend(earlier(preview, allocation));
    notes.extend(spelling(preview, allocation));
    notes.extend(plain(preview));
    if without_address {
        let note = "the nearest hub is chosen by the device's address, and none was given: chosen \
                    as for a \
             network that nothing is known about";
        notes.push(note.to_owned());
    }
    notes
}

/// About a device whose hub a webhook chooses.
pub(super) fn on_custom(
    earlier: Option<&EarlierAssignment>,
    policy: ReprovisionPolicy,
) -> Vec<String> {
    match (earlier, policy) {
        (Some(earlier), ReprovisionPolicy::Never) => vec![format!(
            "whatever the webhook answers, it stays at {}, where it is assigned: its enrollment \
             never reprovisions",
            earlier.assigned_hub,
        )],
        _ => Vec::new(),
    }
}

/// What becomes of an earlier assignment, or of a device that is there.
fn earlier(preview: &Preview, allocation: &Allocation) -> Option<String> {
    let Preview { hub, device_id, .. } = preview;
    let (substatus, creates_device) = match preview.at {
        PreviewAt::Here {
            substatus,
            creates_device,
            ..
        } => (substatus, creates_device),
        PreviewAt::NeedsRemoteHub => {
            return Some(format!(
                "a remote hub is asked before device {device_id} gets hub {hub}; it may refuse, or \
                 not answer"
            ));
        }
    };
    let Some((old_hub, old_device)) = &preview.previous else {
        return (!creates_device).then(|| format!(
            "hub {hub} has a device {device_id} already, which no registration owns: it is taken \
             over with its twin"
        ));
    };
    if (old_hub, old_device) == (hub, device_id) {
        return staying(hub, allocation, substatus, creates_device);
    }
    let new = format!("device {device_id} of hub {hub}");
    let old = format!("device {old_device} of hub {old_hub}");
    Some(match substatus {
        Substatus::DeviceDataMigrated => format!("it moves from {old} to {new}, with its twin"),
        Substatus::DeviceDataReset => {
            format!("it leaves {old}, which is deleted, for {new}, whose twin starts again")
        }
        _ => format!("{old}, where it is assigned, is gone: it gets {new}"),
    })
}

fn staying(
    hub: &HubName,
    allocation: &Allocation,
    substatus: Substatus,
    creates_device: bool,
) -> Option<String> {
    let policy = allocation.device().enrollment().reprovision();
    if creates_device {
        return Some(format!(
            "its device is gone from hub {hub}, where it is assigned: it is made anew"
        ));
    }
    if allocation.hub() != hub {
        let why = match policy {
            ReprovisionPolicy::Never => "its enrollment never reprovisions",
            _ => "that hub does not answer now, and nothing can be taken from it",
        };
        let chosen = allocation.hub();
        return Some(format!(
            "it stays at hub {hub}, where it is assigned: {why}; allocation would choose hub \
             {chosen}"
        ));
    }
    (substatus == Substatus::DeviceDataReset).then(|| {
        "its twin starts again from the enrollment's, as the reprovision policy says".to_owned()
    })
}

fn plain(preview: &Preview) -> Option<String> {
    let PreviewAt::Here {
        stays_plain: true, ..
    } = preview.at
    else {
        return None;
    };
    let (hub, device) = (&preview.hub, &preview.device_id);
    Some(format!(
        "its enrollment makes IoT Edge devices, but device {device} of hub {hub} is not one, and \
         registering again does not change that; \
         muster hub device-identity update -d {device} --edge-enabled true does"
    ))
}

fn spelling(preview: &Preview, allocation: &Allocation) -> Option<String> {
    let (kept, named) = (preview.device_id.as_str(), allocation.device_id().as_str());
    (kept != named && kept.eq_ignore_ascii_case(named)).then(|| {
        format!(
            "the device keeps the first spelling of its registration id, {kept}: hubs tell \
                 letter cases apart"
        )
    })
}
