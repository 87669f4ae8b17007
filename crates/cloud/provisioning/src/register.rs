//! What a registration does to the hub: decided here, carried out by
//! `provisioning/registrations/assign.rs` in this directory and by the provisioning
//! service at remote hubs.

use serde::{Deserialize, Serialize};

use store::{DeviceLocation, Substatus};

use crate::registration::{ReprovisionPolicy, SkippedHub};

/// What is there before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DeviceFacts<'a> {
    /// Where the registration is assigned to, when it is.
    pub(crate) previous: Option<&'a DeviceLocation>,
    /// Whether that device still exists.
    pub(crate) previous_exists: bool,
    /// Where allocation wants it now.
    pub(crate) wanted: &'a DeviceLocation,
    /// Whether there is such a device already.
    pub(crate) wanted_exists: bool,
    /// The substatus that the device was answered with the assignment that stands.
    pub(crate) substatus: Option<Substatus>,
}

/// What to do with the hub device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceStep {
    /// It does not exist: create it with the initial twin.
    Create,
    /// Keep it and its twin; only what it proves itself with follows.
    Refresh,
    /// Keep its identity, start its twin again.
    Reset,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Decision {
    /// Where the device is from now on.
    pub(crate) place: DeviceLocation,
    /// What to do there.
    pub(crate) step: DeviceStep,
    /// What becomes of the previous hub device, when it is not the present one.
    pub(crate) old: OldDevice,
    /// The substatus that the device is answered.
    pub(crate) substatus: Substatus,
}

/// What becomes of a device that is left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OldDevice {
    /// Nothing: there is no such device, or it is where the device stays.
    None,
    /// It moves to the new place with its data, before the step.
    Move,
    Delete,
}

/// Where a registration leads, of what allocation wants and where the device is. A device stays
/// where it is when its enrollment says so, and when its hub was skipped: what is there can
/// neither be read nor taken away now, and comes back with the hub.
pub(crate) fn aim(
    previous: Option<&DeviceLocation>,
    wanted: DeviceLocation,
    policy: ReprovisionPolicy,
    skipped: &[SkippedHub],
) -> DeviceLocation {
    let stays = |place: &&DeviceLocation| {
        policy == ReprovisionPolicy::Never || skipped.iter().any(|hub| hub.hub == place.hub)
    };
    previous.filter(stays).cloned().unwrap_or(wanted)
}

pub(crate) fn decide(facts: DeviceFacts<'_>, policy: ReprovisionPolicy) -> Decision {
    let Some(previous) = facts.previous else {
        return first(facts);
    };
    if policy == ReprovisionPolicy::Never || previous == facts.wanted {
        return again(previous, facts, policy);
    }
    let (step, old) = match (policy, facts.previous_exists, facts.wanted_exists) {
        (ReprovisionPolicy::ResetData, previous_exists, wanted_exists) => {
            let old = if previous_exists {
                OldDevice::Delete
            } else {
                OldDevice::None
            };
            (
                if wanted_exists {
                    DeviceStep::Reset
                } else {
                    DeviceStep::Create
                },
                old,
            )
        }
        (_, true, false) => (DeviceStep::Refresh, OldDevice::Move),
        // Somebody made a device at the new place: its data is the newer.
        (_, true, true) => (DeviceStep::Refresh, OldDevice::Delete),
        (_, false, true) => (DeviceStep::Refresh, OldDevice::None),
        (_, false, false) => (DeviceStep::Create, OldDevice::None),
    };
    let substatus = match (policy, old) {
        (ReprovisionPolicy::ResetData, _) => Substatus::DeviceDataReset,
        (_, OldDevice::None) => Substatus::InitialAssignment,
        _ => Substatus::DeviceDataMigrated,
    };
    Decision {
        place: facts.wanted.clone(),
        step,
        old,
        substatus,
    }
}

/// The first registration. A device that an operator made beforehand keeps its twin.
fn first(facts: DeviceFacts<'_>) -> Decision {
    Decision {
        place: facts.wanted.clone(),
        step: if facts.wanted_exists {
            DeviceStep::Refresh
        } else {
            DeviceStep::Create
        },
        old: OldDevice::None,
        substatus: Substatus::InitialAssignment,
    }
}

/// Another registration at the same place. By default what the device was before of the assignment
/// stays as true as it was.
fn again(place: &DeviceLocation, facts: DeviceFacts<'_>, policy: ReprovisionPolicy) -> Decision {
    let exists = facts.previous_exists;
    let reset = policy == ReprovisionPolicy::ResetData;
    let step = match (exists, reset) {
        (false, _) => DeviceStep::Create,
        (true, true) => DeviceStep::Reset,
        (true, false) => DeviceStep::Refresh,
    };
    let substatus = match (policy, facts.substatus) {
        (ReprovisionPolicy::ResetData, _) => Substatus::DeviceDataReset,
        (ReprovisionPolicy::Never, _) => Substatus::ReprovisionedToInitialAssignment,
        (ReprovisionPolicy::MigrateData, Some(Substatus::DeviceDataMigrated)) if exists => {
            Substatus::DeviceDataMigrated
        }
        (ReprovisionPolicy::MigrateData, Some(Substatus::DeviceDataReset)) if exists => {
            Substatus::DeviceDataReset
        }
        (ReprovisionPolicy::MigrateData, _) => Substatus::InitialAssignment,
    };
    Decision {
        place: place.clone(),
        step,
        old: OldDevice::None,
        substatus,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use DeviceStep::{Create, Refresh, Reset};
    use ReprovisionPolicy::{MigrateData, Never, ResetData};
    use Substatus::{
        DeviceDataMigrated, DeviceDataReset, InitialAssignment, ReprovisionedToInitialAssignment,
    };

    fn place(hub: &str) -> DeviceLocation {
        DeviceLocation {
            hub: hub.parse().unwrap(),
            device_id: "d".parse().unwrap(),
        }
    }

    #[test]
    fn a_device_of_a_hub_that_was_skipped_stays_there() {
        let unhealthy = [SkippedHub {
            hub: "b".parse().unwrap(),
            why: "unhealthy".to_owned(),
        }];
        let aim = |previous: Option<&str>, policy, skipped: &[SkippedHub]| {
            let previous = previous.map(place);
            aim(previous.as_ref(), place("a"), policy, skipped)
                .hub
                .to_string()
        };
        assert_eq!(aim(Some("b"), MigrateData, &unhealthy), "b");
        assert_eq!(aim(Some("b"), ResetData, &unhealthy), "b");
        assert_eq!(
            aim(Some("c"), MigrateData, &unhealthy),
            "a",
            "another one moves"
        );
        assert_eq!(aim(None, MigrateData, &unhealthy), "a");
        assert_eq!(aim(Some("b"), MigrateData, &[]), "a");
        assert_eq!(aim(Some("b"), Never, &[]), "b");
    }

    /// R3: Azure's integration tests read `initialAssignment` after a second registration
    /// by the default policy.
    #[test]
    fn another_registration_at_the_same_hub_is_told_what_the_one_before_was() {
        let again = |before, exists, policy| {
            let (previous, wanted) = (place("a"), place("a"));
            let facts = DeviceFacts {
                previous: Some(&previous),
                previous_exists: exists,
                wanted: &wanted,
                wanted_exists: exists,
                substatus: before,
            };
            decide(facts, policy).substatus
        };
        let (first, moved) = (Some(InitialAssignment), Some(DeviceDataMigrated));
        assert_eq!(again(first, true, MigrateData), InitialAssignment);
        assert_eq!(again(moved, true, MigrateData), DeviceDataMigrated);
        assert_eq!(
            again(Some(DeviceDataReset), true, MigrateData),
            DeviceDataReset
        );
        assert_eq!(
            again(moved, false, MigrateData),
            InitialAssignment,
            "it is made anew"
        );
        let never = Some(ReprovisionedToInitialAssignment);
        assert_eq!(again(never, true, MigrateData), InitialAssignment);
        assert_eq!(again(first, true, Never), ReprovisionedToInitialAssignment);
        assert_eq!(again(first, true, ResetData), DeviceDataReset);
    }

    #[test]
    fn the_table_of_reprovision_policies() {
        let same = Some("a");
        let other = Some("b");
        // earlier hub, its device exists, device exists at hub a, policy -> hub, step, old,
        // substatus
        #[rustfmt::skip]
        let table = [
            (None, false, false, MigrateData, "a", Create, OldDevice::None, InitialAssignment),
            (None, false, true, ResetData, "a", Refresh, OldDevice::None, InitialAssignment),
            (same, true, true, MigrateData, "a", Refresh, OldDevice::None, InitialAssignment),
            (same, true, true, ResetData, "a", Reset, OldDevice::None, DeviceDataReset),
            (same, true, true, Never, "a", Refresh, OldDevice::None, ReprovisionedToInitialAssignment),
            (same, false, false, MigrateData, "a", Create, OldDevice::None, InitialAssignment),
            (other, true, false, MigrateData, "a", Refresh, OldDevice::Move, DeviceDataMigrated),
            (other, true, true, MigrateData, "a", Refresh, OldDevice::Delete, DeviceDataMigrated),
            (other, true, false, ResetData, "a", Create, OldDevice::Delete, DeviceDataReset),
            (other, true, true, ResetData, "a", Reset, OldDevice::Delete, DeviceDataReset),
            (other, true, false, Never, "b", Refresh, OldDevice::None, ReprovisionedToInitialAssignment),
            (other, false, false, Never, "b", Create, OldDevice::None, ReprovisionedToInitialAssignment),
            (other, false, false, MigrateData, "a", Create, OldDevice::None, InitialAssignment),
        ];
        for (previous, previous_exists, wanted_exists, policy, hub, step, old, substatus) in table {
            let previous = previous.map(place);
            let wanted = place("a");
            let facts = DeviceFacts {
                previous: previous.as_ref(),
                previous_exists,
                wanted: &wanted,
                wanted_exists,
                substatus: None,
            };
            let decision = decide(facts, policy);
            let expected = Decision {
                place: place(hub),
                step,
                old,
                substatus,
            };
            assert_eq!(decision, expected, "{facts:?} {policy:?}");
        }
    }
}
