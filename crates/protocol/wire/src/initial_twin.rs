//! The first twin of a device, which an enrollment or an allocation gives it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::lenient::{BodyError, Fields};

/// The first twin of a device.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct InitialTwin {
    /// Tags, which deployments target.
    #[serde(default)]
    pub tags: Map<String, Value>,
    /// The properties that the twin starts with.
    #[serde(default)]
    pub properties: InitialProperties,
}

/// The properties of a first twin: desired only.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct InitialProperties {
    /// Desired properties, which the device follows.
    #[serde(default)]
    pub desired: Map<String, Value>,
}

/// `initialTwin`, empty when absent.
pub(crate) fn initial_twin(fields: &Fields<'_>) -> Result<InitialTwin, BodyError> {
    let Some(twin) = fields.object("initialTwin")? else {
        return Ok(InitialTwin::default());
    };
    let desired = match twin.object("properties")? {
        Some(properties) => collection(&properties, "desired")?,
        None => Map::new(),
    };
    Ok(InitialTwin {
        tags: collection(&twin, "tags")?,
        properties: InitialProperties { desired },
    })
}

fn collection(fields: &Fields<'_>, name: &str) -> Result<Map<String, Value>, BodyError> {
    let inner = fields.object(name)?;
    Ok(inner.map_or_else(Map::new, |inner| unwrapped(inner.map().clone())))
}

/// Undoes what `az iot dps enrollment update` does to free-form objects it read before: it sends
/// `{"additional_properties": {"site": "a"}}` for `{"site": "a"}`.
pub(crate) fn unwrapped(mut map: Map<String, Value>) -> Map<String, Value> {
    const WRAPPER: &str = "additional_properties";
    while matches!(map.get(WRAPPER), Some(Value::Object(_))) {
        let Some(Value::Object(inner)) = map.remove(WRAPPER) else {
            break;
        };
        for (key, value) in inner {
            map.entry(key).or_insert(value);
        }
    }
    map
}
