//! `/muster/v1/dps/blocks`: devices that an operator shuts out everywhere.

use ids::{DeviceId, HubName, RegistrationId, Timestamp};
use serde::{Deserialize, Serialize};

/// The body of `PUT /muster/v1/dps/blocks/{registrationId}`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct BlockRequest {
    /// In the operator's words; at most 128 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A device that is blocked everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockDocument {
    /// The registration id that is refused.
    pub registration_id: RegistrationId,
    /// In the operator's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The moment of the block.
    pub since_date_time_utc: Timestamp,
    /// The device in its hub, when it is assigned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_id: Option<DeviceId>,
    /// The hub that it is assigned to, and how far the block is carried out there.
    #[serde(default)]
    pub hubs: Vec<BlockedAt>,
}

/// How far a block is carried out at a hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockedAt {
    /// Name of the hub.
    pub hub: HubName,
    /// Whether the device is disabled there.
    pub state: BlockState,
    /// Why it is not disabled yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Whether a hub has disabled a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BlockState {
    /// The device is disabled.
    Done,
    /// The hub is asked again until the device is disabled.
    Pending,
}
