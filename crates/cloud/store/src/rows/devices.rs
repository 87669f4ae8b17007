use ids::{DeviceId, HubName, Identity};
use serde::{Deserialize, Serialize};

/// A device and the hub that has it. Stored in plans of placements too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceLocation {
    pub hub: HubName,
    pub device_id: DeviceId,
}

impl DeviceLocation {
    #[must_use]
    pub fn identity(&self) -> Identity {
        Identity::device(self.hub.clone(), self.device_id.clone())
    }
}
