//! `/muster/v1/hub/rollouts`: staged rollouts of deployments.

use ids::{ConfigurationId, Timestamp};
use serde::{Deserialize, Serialize};

/// `POST /muster/v1/hub/rollouts`: begins a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RolloutRequest {
    /// The deployment. It applies nowhere yet, and one of a lower priority is there to go back to.
    pub configuration_id: ConfigurationId,
    /// What the deployment targets from now on; without it, its condition stays.
    pub target_condition: Option<String>,
    /// The stages. The last one is 100 percent.
    pub rings: Vec<RingDocument>,
    /// When a ring is good.
    #[serde(default)]
    pub gate: GateDocument,
    /// Most devices that may be changing at the same time.
    #[serde(default = "usual_max_in_change")]
    pub max_in_change: u32,
}

fn usual_max_in_change() -> u32 {
    100
}

/// A stage of a rollout: devices that a condition selects, or a share of all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RingDocument {
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A target condition, such as `tags.ring = 'canary'`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_condition: Option<String>,
    /// 1 to 100: this share of all devices, by a hash of the device id. Shares include those of
    /// earlier rings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
}

/// What the devices of a ring must show before the next ring opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct GateDocument {
    /// How long a ring stays good before the next one opens.
    pub soak_seconds: u32,
    /// A device that has not reported success after this long counts as failed.
    pub device_timeout_seconds: u32,
    /// A device that reports a failure has this long since its admission to recover.
    pub grace_seconds: u32,
    /// When more of a hundred admitted devices have failed, the rollout goes back.
    pub max_failed_percent: u8,
    /// A module that was restarted more often since the admission counts as failed.
    pub max_restarts: u32,
}

impl Default for GateDocument {
    fn default() -> Self {
        Self {
            soak_seconds: 600,
            device_timeout_seconds: 1800,
            grace_seconds: 180,
            max_failed_percent: 0,
            max_restarts: 3,
        }
    }
}

/// Where a rollout is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "state")]
pub enum RolloutState {
    /// A ring is open: its devices get the deployment, as many at a time as may.
    Running(OpenRing),
    /// No more devices get the deployment until the rollout is resumed. The gate still works.
    Paused(OpenRing),
    /// The deployment applies wherever it matches.
    Completed,
    /// The gate failed: the deployment applies nowhere, and devices are back on the one before.
    Returned {
        /// Which devices failed, and how.
        reason: String,
    },
    /// An operator ended it: the deployment applies nowhere.
    Aborted,
}

/// The ring that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenRing {
    /// From 0.
    pub ring: u32,
    /// Since when all its devices are good.
    pub soaking_since: Option<Timestamp>,
    /// When all its devices were good for the first time: the soak is put off for a bounded time
    /// after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_good: Option<Timestamp>,
}

/// Something that happened in a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutEvent {
    /// When.
    pub at: Timestamp,
    /// What, in words.
    pub event: String,
}

/// How many devices of an active rollout are in which state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RolloutCounts {
    /// Of the open rings: devices that have not got the deployment.
    pub waiting: u64,
    /// Devices that got it and have not reported success.
    pub changing: u64,
    /// Devices that run it.
    pub healthy: u64,
    /// Devices that failed.
    pub failed: u64,
}

/// A rollout, as the hub answers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutDocument {
    /// The deployment.
    pub configuration_id: ConfigurationId,
    /// Where it is.
    #[serde(flatten)]
    pub state: RolloutState,
    /// The stages.
    pub rings: Vec<RingDocument>,
    /// When a ring is good.
    pub gate: GateDocument,
    /// Most devices that may be changing at the same time.
    pub max_in_change: u32,
    /// As last counted.
    pub counts: RolloutCounts,
    /// When it began.
    pub created: Timestamp,
    /// When its state last changed.
    pub updated: Timestamp,
    /// What happened, the oldest first.
    pub history: Vec<RolloutEvent>,
}
