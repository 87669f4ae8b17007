//! What should run: the desired properties of `$edgeAgent`, and the containers
//! that follow from them.

pub mod agent_options;
pub mod container;
pub mod modules;
pub mod registry_credential;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::provision::assignment::DeviceLocation;

/// Desired properties of `$edgeAgent`, as last received.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct DesiredDocument {
    pub properties: Map<String, Value>,
    pub version: u64,
}

/// Desired properties as kept on disk, with the hub and device that they are for.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct KeptDesired {
    #[serde(rename = "home")]
    pub(crate) location: DeviceLocation,
    pub(crate) document: DesiredDocument,
}
