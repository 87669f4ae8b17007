use ids::ConfigurationId;

use crate::{ListedRow, StoreError};

/// A staged rollout of a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutRow {
    /// Row id; 0 before it is inserted.
    pub id: i64,
    /// Row id of the deployment.
    pub configuration: i64,
    pub configuration_id: ConfigurationId,
    pub revision: i64,
    pub hold: RolloutHold,
    /// JSON: rings, gate, state, history.
    pub document: String,
    /// When it began, 100 ns since 1970.
    pub created: i64,
    /// When its state last changed, 100 ns since 1970.
    pub updated: i64,
}

/// A rollout that holds a deployment back.
#[derive(Debug)]
pub struct HoldingRollout {
    /// Row id of the deployment; `None` when it cannot be read.
    pub configuration: Option<i64>,
    /// The rollout, by the id of its deployment.
    pub listed: ListedRow<RolloutRow>,
}

/// Where the deployment of a rollout applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RolloutHold {
    /// Wherever it matches: the rollout is complete, or another one came after it.
    Nothing,
    /// On the devices that the rollout has admitted.
    NotAdmitted,
    /// Nowhere: the rollout went back.
    All,
}

/// A device that the deployment of a rollout matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutDeviceRow {
    pub rollout: i64,
    pub ring: u32,
    /// When it got the deployment, 100 ns since 1970; `None` while it waits.
    pub admitted: Option<i64>,
}

/// How many devices of a rollout wait and are admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RolloutDeviceCounts {
    /// In the rings up to the open one.
    pub waiting: u64,
    pub waiting_in_ring: u64,
    pub admitted_in_ring: u64,
}

/// A row of a list. One that cannot be read keeps its place, so that the others are seen.
#[derive(Debug)]
pub struct ListedAdmitted {
    /// As it is stored, also when it is not a device id.
    pub device_id: String,
    pub ring: u32,
    pub row: Result<AdmittedRow, StoreError>,
}

/// An admitted device, with what its agent said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdmittedRow {
    /// When it got the deployment, 100 ns since 1970.
    pub admitted: i64,
    /// Since when it owes an answer, 100 ns since 1970; `None` while it is good.
    pub unsettled: Option<i64>,
    /// JSON: how often its modules had been restarted then.
    pub restarts: Option<String>,
    /// Whether the deployment has been written to its twins.
    pub applied: bool,
    /// Whether a base that comes before the deployment is applied to the device.
    pub superseded: bool,
    /// Version of the agent's desired properties.
    pub desired_version: u64,
    /// JSON: the agent's desired properties.
    pub desired: Option<String>,
    /// JSON: what the agent reported; `None` also when it is too large.
    pub reported: Option<String>,
    /// When the agent's desired properties last changed, as their metadata say it; `None` when that
    /// is `written`.
    pub desired_changed: Option<String>,
    /// When the agent's twin was made or emptied, 100 ns since 1970.
    pub written: i64,
}
