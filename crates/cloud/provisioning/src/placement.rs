//! Devices on their way to, from or within remote hubs: what is to be done there, decided before
//! anything is done and kept until it is. Pure.

use ids::{DeviceId, HubName};
use serde::{Deserialize, Serialize};

use store::{DeviceLocation, Substatus};

use crate::register::{Decision, DeviceFacts, DeviceStep, OldDevice, decide};
use crate::registration::ReprovisionPolicy;
use crate::service::LinkedHub;

/// A place with the hub that it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocatedDevice {
    pub hub: LinkedHub,
    pub device_id: DeviceId,
    /// Whether there is such a device; `None` when its hub has to be asked.
    pub exists: Option<bool>,
}

impl LocatedDevice {
    fn place(&self) -> DeviceLocation {
        DeviceLocation {
            hub: self.hub.name.clone(),
            device_id: self.device_id.clone(),
        }
    }
}

/// Where a device is, and where it shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacementSources {
    /// Where its registration is assigned to.
    pub previous: Option<LocatedDevice>,
    /// Where it shall be.
    pub wanted: LocatedDevice,
    pub(crate) policy: ReprovisionPolicy,
    /// The substatus of the assignment that stands.
    pub(crate) substatus: Option<Substatus>,
    pub(crate) plan: Option<Plan>,
}

impl PlacementSources {
    /// The plan that has been begun for the same way.
    #[must_use]
    pub fn begun(&self) -> Option<Plan> {
        let is_this = |plan: &&Plan| {
            plan.previous == self.previous.as_ref().map(LocatedDevice::place)
                && plan.decision.place == self.wanted.place()
        };
        self.plan.as_ref().filter(is_this).cloned()
    }

    /// Decides, now that it is known which of both devices exist.
    #[must_use]
    pub fn decide(&self, previous_exists: bool, wanted_exists: bool) -> Plan {
        let previous = self.previous.as_ref().map(LocatedDevice::place);
        let facts = DeviceFacts {
            previous: previous.as_ref(),
            previous_exists,
            wanted: &self.wanted.place(),
            wanted_exists,
            substatus: self.substatus,
        };
        Plan {
            decision: decide(facts, self.policy),
            previous,
        }
    }
}

/// What is done about a device at hubs of which one is remote. Written down before it is
/// begun: a server that was killed goes on with it and does not take for somebody else's
/// what it made itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub(crate) decision: Decision,
    pub(crate) previous: Option<DeviceLocation>,
}

impl Plan {
    /// The hub that the device gets.
    #[must_use]
    pub fn hub(&self) -> &HubName {
        &self.decision.place.hub
    }

    /// What to do there.
    #[must_use]
    pub fn step(&self) -> PlanStep {
        match (self.decision.step, self.decision.old) {
            (_, OldDevice::Move) => PlanStep::Bring,
            (DeviceStep::Create, _) => PlanStep::Create,
            (DeviceStep::Refresh, _) => PlanStep::Refresh,
            (DeviceStep::Reset, _) => PlanStep::Reset,
        }
    }

    /// The device that there is only because of this plan.
    pub(crate) fn created(&self) -> Option<&DeviceLocation> {
        let makes = matches!(self.step(), PlanStep::Bring | PlanStep::Create);
        let place = &self.decision.place;
        (makes && self.previous.as_ref() != Some(place)).then_some(place)
    }
}

/// What is done at the hub that a device gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanStep {
    /// It does not exist: create it with the initial twin.
    Create,
    /// It does not exist: create it with what the old one has.
    Bring,
    /// Keep it and its twin; only what it proves itself with follows.
    Refresh,
    /// Keep its identity, start its twin again.
    Reset,
}

/// What is still to be done to a device of a remote hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteTask {
    pub hub: HubName,
    pub device_id: DeviceId,
    pub kind: store::RemoteTaskKind,
    pub tries: u32,
    pub(crate) row: store::RemoteTaskRow,
}

impl RemoteTask {
    /// Why the last try failed.
    #[must_use]
    pub fn problem(&self) -> Option<&str> {
        self.row.problem.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use ids::HubHost;

    use super::*;
    use crate::service::HubAccess;

    fn located(hub: &str) -> LocatedDevice {
        LocatedDevice {
            hub: LinkedHub {
                name: hub.parse().unwrap(),
                host: HubHost::parse(&format!("{hub}.example")).unwrap(),
                allocation_weight: None,
                apply_allocation_policy: true,
                latencies: Vec::new(),
                former_hosts: Vec::new(),
                access: HubAccess::Local,
            },
            device_id: "d".parse().unwrap(),
            exists: None,
        }
    }

    fn placement_sources(
        previous: Option<&str>,
        wanted: &str,
        plan: Option<Plan>,
    ) -> PlacementSources {
        PlacementSources {
            previous: previous.map(located),
            wanted: located(wanted),
            policy: ReprovisionPolicy::MigrateData,
            substatus: None,
            plan,
        }
    }

    #[test]
    fn what_was_made_by_a_plan_is_not_somebody_elses_the_next_time() {
        let plan = placement_sources(Some("a"), "b", None).decide(true, false);
        assert_eq!(plan.step(), PlanStep::Bring);
        let again = placement_sources(Some("a"), "b", Some(plan.clone()));
        assert_eq!(again.begun(), Some(plan.clone()));
        // Without it the data would be lost.
        assert_eq!(again.decide(true, true).step(), PlanStep::Refresh);
        let text = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
    }

    #[test]
    fn a_plan_for_another_way_is_not_gone_on_with() {
        let plan = placement_sources(None, "a", None).decide(false, false);
        assert_eq!(
            placement_sources(None, "b", Some(plan.clone())).begun(),
            None
        );
        assert_eq!(
            placement_sources(Some("b"), "a", Some(plan.clone())).begun(),
            None
        );
        assert_eq!(plan.created().unwrap().hub.as_str(), "a");
    }

    #[test]
    fn only_what_a_plan_made_is_its_to_take_back() {
        let first = placement_sources(None, "a", None);
        assert_eq!(first.decide(false, true).created(), None, "it was there");
        let same = placement_sources(Some("a"), "a", None);
        assert_eq!(same.decide(false, false).created(), None, "it is assigned");
    }
}
