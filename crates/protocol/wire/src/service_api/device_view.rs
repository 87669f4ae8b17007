//! What the device's side reads and sends: its module identities, its twin and changes of it (3.3).

use ids::{DeviceId, GenerationId, ModuleId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::http::encode_segment;
use crate::lenient::BodyError;
use crate::service_api::identity::KeyText;
use crate::twin::VERSION;

/// The api-version that device daemons use for their module identities.
pub const MODULES_API_VERSION: &str = "2017-11-08-preview";
/// The api-version that our devices put into their hub user names.
pub const HUB_API_VERSION: &str = "2020-09-30";

/// Path of a device's module identities, with the query.
#[must_use]
pub fn modules_path(device: &DeviceId) -> String {
    let device = encode_segment(device.as_str());
    format!("/devices/{device}/modules?api-version={MODULES_API_VERSION}")
}

/// Path of one module identity, with the query.
#[must_use]
pub fn module_path(device: &DeviceId, module: &ModuleId) -> String {
    let (device, module) = (
        encode_segment(device.as_str()),
        encode_segment(module.as_str()),
    );
    format!("/devices/{device}/modules/{module}?api-version={MODULES_API_VERSION}")
}

/// The resource that a token of a device or module names, not encoded.
#[must_use]
pub fn token_resource(hub: &str, device: &DeviceId, module: Option<&ModuleId>) -> String {
    match module {
        Some(module) => format!("{hub}/devices/{device}/modules/{module}"),
        None => format!("{hub}/devices/{device}"),
    }
}

/// A module identity as the hub tells it to the module's device.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceModule {
    /// The module id, as spelled at its creation.
    pub module_id: ModuleId,
    /// The device that has the module.
    pub device_id: DeviceId,
    /// Marks this life of the id; the module's keys are derived from it.
    pub generation_id: GenerationId,
    /// Who creates and removes it, `IotEdge` for modules of a deployment.
    #[serde(default)]
    pub managed_by: Option<String>,
}

/// What a device asks for when it creates or changes a module identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceModuleRequest {
    /// The id of the path.
    pub module: ModuleId,
    /// The device of the path.
    pub device: DeviceId,
    /// The owner of the module; `IotEdge` for modules of a deployment.
    pub managed_by: Option<String>,
    /// Primary and secondary key; absent keeps what the hub has, or has it generate them.
    pub keys: Option<(KeyText, KeyText)>,
}

impl DeviceModuleRequest {
    /// The body of the PUT.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut body = json!({ "moduleId": self.module, "deviceId": self.device });
        if let Some(managed_by) = &self.managed_by {
            body["managedBy"] = json!(managed_by);
        }
        if let Some((primary, secondary)) = &self.keys {
            body["authentication"] = json!({
                "type": "sas",
                "symmetricKey": { "primaryKey": primary.reveal(),
                    "secondaryKey": secondary.reveal() },
            });
        }
        body
    }
}

/// Properties of one half of a twin.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct VersionedProperties {
    /// The properties, without `$version`.
    pub properties: Map<String, Value>,
    /// `$version`: one more with each change.
    pub version: u64,
}

impl VersionedProperties {
    /// Reads a half of a twin, or a change of desired properties: an object with `$version` inside.
    ///
    /// # Errors
    /// When it is not an object, or has no whole number as `$version`.
    pub fn read(value: Value) -> Result<Self, BodyError> {
        let Value::Object(mut properties) = value else {
            return Err(BodyError::new("", "a JSON object was expected"));
        };
        let version = properties.remove(VERSION).and_then(|v| v.as_u64());
        let version =
            version.ok_or_else(|| BodyError::new(VERSION, "a whole number was expected"))?;
        Ok(Self {
            properties,
            version,
        })
    }

    /// Reads the payload of a change of desired properties.
    pub fn parse(payload: &[u8]) -> Result<Self, BodyError> {
        Self::read(crate::lenient::parse(payload)?)
    }
}

/// A twin as its device sees it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DeviceTwin {
    /// The section that operators write.
    pub desired: VersionedProperties,
    /// Written by the device.
    pub reported: VersionedProperties,
}

impl DeviceTwin {
    /// Reads the answer to a twin GET.
    ///
    /// # Errors
    /// When it is not JSON, or one of the halves is missing or has no version.
    pub fn parse(payload: &[u8]) -> Result<Self, BodyError> {
        let mut twin = crate::lenient::parse(payload)?;
        let mut half = |name: &str| {
            let half = twin.get_mut(name).map(Value::take);
            let half = half.ok_or_else(|| BodyError::new(name, "is missing"))?;
            VersionedProperties::read(half)
                .map_err(|error| BodyError::new(format!("{name}.{}", error.path), error.problem))
        };
        Ok(Self {
            desired: half("desired")?,
            reported: half("reported")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_twin_is_read_as_the_hub_writes_it() {
        let section = |value: Value, version| crate::twin::Section {
            properties: value.as_object().unwrap().clone(),
            metadata: json!({}),
            version,
        };
        let written = crate::twin::device_twin(
            &section(json!({"a": {"b": 1}}), 4),
            &section(json!({"c": null}), 2),
        );
        let twin = DeviceTwin::parse(written.to_string().as_bytes()).unwrap();
        assert_eq!(
            Value::Object(twin.desired.properties),
            json!({"a": {"b": 1}})
        );
        assert_eq!((twin.desired.version, twin.reported.version), (4, 2));
        let error = DeviceTwin::parse(br#"{"desired":{}}"#).unwrap_err();
        assert!(error.to_string().contains("desired.$version"), "{error}");
    }

    #[test]
    fn a_module_request_is_what_the_hub_reads() {
        let key = KeyText::from_bytes(&[7; 32]).unwrap();
        let request = DeviceModuleRequest {
            module: ModuleId::edge_agent(),
            device: DeviceId::parse("d").unwrap(),
            managed_by: Some("IotEdge".into()),
            keys: Some((key.clone(), key.clone())),
        };
        let read = crate::service_api::identity::ModuleRequest::parse(&request.to_json()).unwrap();
        assert_eq!(read.module_id, Some(request.module));
        assert_eq!(read.managed_by, request.managed_by);
        let expected = crate::service_api::identity::AuthenticationRequest::Sas {
            primary: Some(key.clone()),
            secondary: Some(key),
        };
        assert_eq!(read.authentication, Some(expected));
        let path = module_path(&request.device, &ModuleId::edge_hub());
        assert_eq!(
            path,
            "/devices/d/modules/%24edgeHub?api-version=2017-11-08-preview"
        );
    }
}
