//! What should run: the desired properties of `$edgeAgent`, and the containers
//! that follow from them.

pub mod agent_options;
pub mod container;
pub mod modules;
pub mod registry_credential;

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wire::edge_api::manifest::{AgentDesired, ManifestError};

use crate::files::durable::{self, DurableError};
use crate::provision::assignment::DeviceLocation;

/// Desired properties of `$edgeAgent`, as last received.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct DesiredDocument {
    pub properties: Map<String, Value>,
    pub version: u64,
}

impl DesiredDocument {
    /// # Errors
    /// When it is no deployment that can be followed.
    pub(crate) fn manifest(&self) -> Result<AgentDesired, ManifestError> {
        AgentDesired::parse(&Value::Object(self.properties.clone()))
    }
}

/// Desired properties that cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    pub error: ManifestError,
    pub version: u64,
}

/// The deployment to follow.
#[derive(Debug)]
pub(crate) struct Followed {
    pub(crate) manifest: AgentDesired,
    pub(crate) version: u64,
    /// Later desired properties.
    pub(crate) rejected: Option<Rejected>,
}

/// Desired properties as kept on disk, with the hub and device that they are for.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct KeptDesired {
    #[serde(rename = "home")]
    pub(crate) location: DeviceLocation,
    pub(crate) document: DesiredDocument,
}

impl KeptDesired {
    /// Replaces what is kept, unless this cannot be followed.
    pub(crate) fn save(&self, path: &Path) -> Result<(), DurableError> {
        match self.document.manifest() {
            Ok(_) => durable::write_json(path, self),
            Err(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use ids::{DeviceId, HubHost};
    use serde_json::json;

    use super::*;

    #[test]
    fn properties_that_cannot_be_followed_do_not_replace_a_kept_deployment() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("desired.json");
        let kept = |version: u64, properties: Value| KeptDesired {
            location: DeviceLocation {
                hub: HubHost::parse("hub.example").unwrap(),
                device_id: DeviceId::parse("d").unwrap(),
            },
            document: DesiredDocument {
                properties: properties.as_object().cloned().unwrap(),
                version,
            },
        };
        for (version, properties, now_kept) in [
            (1, json!({"schemaVersion": "1.1", "modules": {}}), 1),
            (2, json!({}), 1),
            (3, json!({"schemaVersion": "1.1", "modules": 1}), 1),
            (4, json!({"schemaVersion": "9"}), 1),
            (5, json!({"schemaVersion": "1.1", "modules": {}}), 5),
        ] {
            kept(version, properties).save(&path).unwrap();
            let found: KeptDesired = durable::read_json(&path).unwrap().unwrap();
            assert_eq!(found.document.version, now_kept);
        }
    }
}
