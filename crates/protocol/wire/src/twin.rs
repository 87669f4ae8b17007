//! Twins: what operators and devices see of them and what both may send.

use ids::{ConfigurationId, DeviceId, Etag, ModuleId, Timestamp};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::lenient::{BodyError, Fields};
use crate::service_api::identity::{Authentication, Capabilities, ConnectionState, Status};

/// The member that carries a section's version.
pub const VERSION: &str = "$version";
/// The member that carries a section's times of change.
pub const METADATA: &str = "$metadata";

/// The desired or the reported half of a twin.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    /// The properties, without `$metadata` and `$version`.
    pub properties: Map<String, Value>,
    /// Mirrors the properties with `$lastUpdated` (and `$lastUpdatedVersion`) at every level.
    pub metadata: Value,
    /// Counts the changes of this section.
    pub version: u64,
}

impl Section {
    /// The form that devices get: properties and `$version`, no `$metadata`.
    #[must_use]
    pub fn device_view(&self) -> Value {
        with_version(&self.properties, self.version)
    }
}

impl Serialize for Section {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.properties.len() + 2))?;
        for (name, value) in &self.properties {
            map.serialize_entry(name, value)?;
        }
        map.serialize_entry(METADATA, &self.metadata)?;
        map.serialize_entry(VERSION, &self.version)?;
        map.end()
    }
}

/// Properties (or a patch of them) with `$version` inside, as devices receive them.
#[must_use]
pub fn with_version(properties: &Map<String, Value>, version: u64) -> Value {
    let mut document = properties.clone();
    document.insert(VERSION.to_owned(), json!(version));
    Value::Object(document)
}

/// The answer to a device's twin GET.
#[must_use]
pub fn device_twin(desired: &Section, reported: &Section) -> Value {
    json!({"desired": desired.device_view(), "reported": reported.device_view()})
}

/// Both sections of a twin.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Properties {
    /// The section that operators write.
    pub desired: Section,
    /// Written by the device.
    pub reported: Section,
}

/// Whether a configuration merely matches a twin or is part of what it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum ConfigurationState {
    /// The configuration's condition matches the twin.
    Targeted,
    /// It is part of the result.
    Applied,
}

/// A twin as operators see it. `module_id` is set for module twins, which
/// carry no device-only members.
#[derive(Debug, Clone, PartialEq)]
pub struct Twin {
    /// The device id of the twin.
    pub device_id: DeviceId,
    /// The module, for module twins.
    pub module_id: Option<ModuleId>,
    /// Digital twin model that the device announced; empty when it announced none.
    pub model_id: String,
    /// Version of the twin, which `If-Match` compares.
    pub etag: Etag,
    /// Version of the identity behind it.
    pub device_etag: Etag,
    /// Counts every change of the twin.
    pub version: u64,
    /// Status of the device.
    pub status: Status,
    /// Why, as the operator wrote.
    pub status_reason: Option<String>,
    /// When the status changed last.
    pub status_update_time: Timestamp,
    /// Whether a session is open now.
    pub connection_state: ConnectionState,
    /// When it was heard of last.
    pub last_activity_time: Timestamp,
    /// Messages waiting for it.
    pub cloud_to_device_message_count: u64,
    /// How it proves itself; only the type and thumbprints are shown.
    pub authentication: Authentication,
    /// The capabilities of the device, such as IoT Edge.
    pub capabilities: Capabilities,
    /// The scope it spans or belongs to.
    pub device_scope: Option<String>,
    /// Scopes of its parents.
    pub parent_scopes: Vec<String>,
    /// Seen by operators only.
    pub tags: Map<String, Value>,
    /// The desired and reported properties.
    pub properties: Properties,
    /// How each configuration stands that concerns it.
    pub configurations: Vec<(ConfigurationId, ConfigurationState)>,
}

impl Serialize for Twin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("deviceId", &self.device_id)?;
        if let Some(module) = &self.module_id {
            map.serialize_entry("moduleId", module)?;
        }
        map.serialize_entry("etag", &self.etag)?;
        map.serialize_entry("deviceEtag", &self.device_etag)?;
        map.serialize_entry("status", &self.status)?;
        if let Some(reason) = &self.status_reason {
            map.serialize_entry("statusReason", reason)?;
        }
        map.serialize_entry("statusUpdateTime", &self.status_update_time)?;
        map.serialize_entry("connectionState", &self.connection_state)?;
        map.serialize_entry("lastActivityTime", &self.last_activity_time)?;
        map.serialize_entry(
            "cloudToDeviceMessageCount",
            &self.cloud_to_device_message_count,
        )?;
        map.serialize_entry("authenticationType", self.authentication.type_name())?;
        map.serialize_entry(
            "x509Thumbprint",
            &self.authentication.to_json(false)["x509Thumbprint"],
        )?;
        map.serialize_entry("modelId", &self.model_id)?;
        map.serialize_entry("version", &self.version)?;
        if !self.tags.is_empty() {
            map.serialize_entry("tags", &self.tags)?;
        }
        map.serialize_entry("properties", &self.properties)?;
        if self.module_id.is_none() {
            map.serialize_entry("capabilities", &self.capabilities)?;
            if let Some(scope) = &self.device_scope {
                map.serialize_entry("deviceScope", scope)?;
            }
            if !self.parent_scopes.is_empty() {
                map.serialize_entry("parentScopes", &self.parent_scopes)?;
            }
        }
        if !self.configurations.is_empty() {
            let state = |(id, state): &(ConfigurationId, ConfigurationState)| {
                (id.to_string(), json!({ "status": state }))
            };
            let states: Map<String, Value> = self.configurations.iter().map(state).collect();
            map.serialize_entry("configurations", &states)?;
        }
        map.end()
    }
}

/// `PATCH` or `PUT /twins/{id}`: only tags and desired properties can be written; everything else
/// that clients echo (`reported`, `$metadata`, `$version`, identity members) is dropped here.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TwinChange {
    /// `tags`; absent leaves them as they are.
    pub tags: Option<Map<String, Value>>,
    /// `properties.desired`, without `$metadata` and `$version`.
    pub desired: Option<Map<String, Value>>,
}

impl TwinChange {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// When `tags`, `properties` or `properties.desired` is not an object.
    pub fn parse(body: &Value) -> Result<Self, BodyError> {
        let fields = Fields::of_body(body)?;
        let desired = fields
            .object("properties")?
            .map(|p| p.object("desired"))
            .transpose()?
            .flatten();
        Ok(Self {
            tags: fields
                .object("tags")?
                .map(|tags| without_service_members(tags.map())),
            desired: desired.map(|section| without_service_members(section.map())),
        })
    }
}

/// Most bytes of a patch of reported properties: four times what the document may count.
pub const MAX_REPORTED_PATCH: usize = 128 * 1024;

/// A patch of reported properties as a device sends it: a JSON object, an echoed
/// `$version` or `$metadata` dropped.
///
/// # Errors
/// When it is too large or not a JSON object.
pub fn parse_reported(payload: &[u8]) -> Result<Map<String, Value>, BodyError> {
    if payload.len() > MAX_REPORTED_PATCH {
        let problem = format!(
            "the patch has {} bytes; {MAX_REPORTED_PATCH} are allowed",
            payload.len()
        );
        return Err(BodyError::new("", problem));
    }
    let body = crate::lenient::parse_exactly(payload)?;
    Ok(without_service_members(Fields::of_body(&body)?.map()))
}

fn without_service_members(map: &Map<String, Value>) -> Map<String, Value> {
    map.iter()
        .filter(|(name, _)| *name != METADATA && *name != VERSION)
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(properties: Value, version: u64) -> Section {
        let Value::Object(properties) = properties else {
            panic!("an object")
        };
        Section {
            properties,
            metadata: json!({"$lastUpdated": "2026-01-01T00:00:00.0000000Z"}),
            version,
        }
    }

    #[test]
    fn devices_get_versions_but_no_metadata() {
        let twin = device_twin(&section(json!({"a": 1}), 4), &section(json!({}), 1));
        assert_eq!(
            twin,
            json!({"desired": {"a": 1, "$version": 4}, "reported": {"$version": 1}})
        );
    }

    #[test]
    fn what_clients_echo_is_dropped() {
        let change = TwinChange::parse(&json!({"deviceId": "d", "etag": "x", "tags": {"site": "a"},
            "properties": {"desired": {"v": 1, "$version": 9, "$metadata": {}}, "reported": {"x": 1}}}))
        .unwrap();
        assert_eq!(Value::Object(change.tags.unwrap()), json!({"site": "a"}));
        assert_eq!(Value::Object(change.desired.unwrap()), json!({"v": 1}));
        assert_eq!(
            TwinChange::parse(&json!({"tags": []})).unwrap_err().path,
            "tags"
        );
    }

    #[test]
    fn reported_patches_are_objects() {
        assert_eq!(
            Value::Object(parse_reported(b"{\"v\":1,\"$version\":3}").unwrap()),
            json!({"v": 1})
        );
        assert!(parse_reported(b"[1]").is_err());
        // H22: 20 and 30 digits, as those below 2^64.
        assert!(parse_reported(b"{\"v\":18446744073709551616}").is_err());
        assert!(parse_reported(b"{\"v\":[{\"w\":123456789012345678901234567890}]}").is_err());
        // C1: before anything of it is parsed.
        let large = format!("{{\"v\":[{}1]}}", "1,".repeat(MAX_REPORTED_PATCH / 2));
        let error = parse_reported(large.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("131072 are allowed"), "{error}");
        assert!(parse_reported(b"").is_err());
    }
}
