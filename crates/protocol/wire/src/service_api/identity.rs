//! Devices and modules of a hub's registry, as the service API and device daemons see them.
//!
//! `…Request` types are what somebody sent (read tolerantly, nothing decided yet); [`Device`] and
//! [`Module`] are what a hub answers.

use ids::{DeviceId, Etag, GenerationId, ModuleId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::lenient::{BodyError, Fields};

mod authentication;
mod key;

pub use authentication::{Authentication, AuthenticationRequest, CertificateThumbprint};
pub use key::KeyText;

/// The longest `statusReason`, in characters.
pub const MAX_STATUS_REASON: usize = 128;

/// Whether a device may use the hub at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// The device is allowed to connect.
    Enabled,
    /// It may not; live connections are closed.
    Disabled,
}

/// Whether the hub holds a live connection of an identity. For display only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConnectionState {
    /// A session is open now.
    Connected,
    /// No session is open now.
    Disconnected,
}

/// `PUT /devices/{id}`. Read-only members that clients echo are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeviceRequest {
    /// `deviceId`, to be compared with the path.
    pub device_id: Option<DeviceId>,
    /// `etag` of the body; the `If-Match` header decides, this one is only echoed by clients.
    pub etag: Option<Etag>,
    /// `status`; absent enables a new device, and keeps that of a stored one.
    pub status: Option<Status>,
    /// `statusReason`, at most 128 characters.
    pub status_reason: Option<String>,
    /// `authentication`; absent keeps what is stored, or generates keys for a new device.
    pub authentication: Option<AuthenticationRequest>,
    /// `capabilities.iotEdge`: whether it is an IoT Edge device.
    pub iot_edge: Option<bool>,
    /// `deviceScope`; absent keeps what is stored, an empty text takes a leaf from its parent.
    pub device_scope: Option<String>,
    /// `parentScopes`; absent keeps what is stored.
    pub parent_scopes: Option<Vec<String>>,
}

impl DeviceRequest {
    /// Reads the body of a request.
    pub fn parse(body: &Value) -> Result<Self, BodyError> {
        let fields = Fields::of_body(body)?;
        let capabilities = fields.object("capabilities")?;
        Ok(Self {
            device_id: parsed(&fields, "deviceId", DeviceId::parse)?,
            // Create calls carry "*" or an empty text here; neither names a version.
            etag: fields.text("etag")?.and_then(|text| Etag::parse(text).ok()),
            status: status(&fields)?,
            status_reason: status_reason(&fields)?,
            authentication: authentication(&fields)?,
            iot_edge: capabilities
                .map(|c| c.boolean("iotEdge"))
                .transpose()?
                .flatten(),
            device_scope: fields.text("deviceScope")?.map(str::to_owned),
            parent_scopes: fields.texts("parentScopes")?,
        })
    }
}

/// The body of `PUT /devices/{id}/modules/{module}`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModuleRequest {
    /// `deviceId`, to be compared with the path.
    pub device_id: Option<DeviceId>,
    /// `moduleId`, to be compared with the path.
    pub module_id: Option<ModuleId>,
    /// `managedBy`, for example `IotEdge`.
    pub managed_by: Option<String>,
    /// `authentication`; absent keeps what is stored, or generates keys for a new module.
    pub authentication: Option<AuthenticationRequest>,
}

impl ModuleRequest {
    /// Reads the body of a request.
    pub fn parse(body: &Value) -> Result<Self, BodyError> {
        let fields = Fields::of_body(body)?;
        let managed_by = fields.text("managedBy")?.map(str::to_owned);
        if managed_by
            .as_ref()
            .is_some_and(|text| text.len() > MAX_STATUS_REASON)
        {
            return Err(fields.error(
                "managedBy",
                format!("at most {MAX_STATUS_REASON} characters are allowed"),
            ));
        }
        Ok(Self {
            device_id: parsed(&fields, "deviceId", DeviceId::parse)?,
            module_id: parsed(&fields, "moduleId", ModuleId::parse)?,
            managed_by,
            authentication: authentication(&fields)?,
        })
    }
}

fn parsed<T>(
    fields: &Fields<'_>,
    name: &str,
    parse: impl Fn(&str) -> Result<T, ids::IdError>,
) -> Result<Option<T>, BodyError> {
    fields
        .text(name)?
        .map(|text| parse(text).map_err(|error| fields.error(name, error.to_string())))
        .transpose()
}

fn authentication(fields: &Fields<'_>) -> Result<Option<AuthenticationRequest>, BodyError> {
    fields
        .object("authentication")?
        .map(|inner| AuthenticationRequest::parse(&inner))
        .transpose()
}

fn status(fields: &Fields<'_>) -> Result<Option<Status>, BodyError> {
    match fields.text("status")? {
        None => Ok(None),
        Some(text) if text.eq_ignore_ascii_case("enabled") => Ok(Some(Status::Enabled)),
        Some(text) if text.eq_ignore_ascii_case("disabled") => Ok(Some(Status::Disabled)),
        Some(other) => Err(fields.error(
            "status",
            format!("{other:?} is neither enabled nor disabled"),
        )),
    }
}

fn status_reason(fields: &Fields<'_>) -> Result<Option<String>, BodyError> {
    match fields.text("statusReason")? {
        Some(text) if text.chars().count() > MAX_STATUS_REASON => Err(fields.error(
            "statusReason",
            format!("at most {MAX_STATUS_REASON} characters are allowed"),
        )),
        text => Ok(text.map(str::to_owned)),
    }
}

/// What a device can do besides connecting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Capabilities {
    /// Whether it is an IoT Edge device, with `$edgeAgent` and `$edgeHub`.
    pub iot_edge: bool,
}

/// A device as the registry answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Device {
    /// The device id, as spelled at its creation.
    pub device_id: DeviceId,
    /// Marks this life of the id.
    pub generation_id: GenerationId,
    /// Version of the identity (not of its twin).
    pub etag: Etag,
    /// Whether a session is open now.
    pub connection_state: ConnectionState,
    /// The time of the last change of `connection_state`.
    pub connection_state_updated_time: Timestamp,
    /// When it was heard of last.
    pub last_activity_time: Timestamp,
    /// Whether the device may connect.
    pub status: Status,
    /// Why, as the operator wrote.
    pub status_reason: Option<String>,
    /// When the status changed last.
    pub status_updated_time: Timestamp,
    /// Messages waiting for it.
    pub cloud_to_device_message_count: u64,
    /// The credentials with which it proves itself.
    pub authentication: Authentication,
    /// The capabilities, such as IoT Edge.
    pub capabilities: Capabilities,
    /// The scope it spans (edge) or belongs to (leaf).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_scope: Option<String>,
    /// Scopes of its parents; never null.
    pub parent_scopes: Vec<String>,
}

impl Device {
    /// The JSON form, without keys for callers that may only read the registry.
    #[must_use]
    pub fn to_json(&self, with_keys: bool) -> Value {
        hide_keys(
            serde_json::to_value(self).unwrap_or_default(),
            &self.authentication,
            with_keys,
        )
    }
}

/// A module as the registry answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Module {
    /// The module id within its device.
    pub module_id: ModuleId,
    /// Who creates and removes it, `IotEdge` for modules of a deployment.
    pub managed_by: Option<String>,
    /// The device it belongs to.
    pub device_id: DeviceId,
    /// Marks this life of the id; device daemons derive the module's keys from it.
    pub generation_id: GenerationId,
    /// Version of the identity.
    pub etag: Etag,
    /// Whether a session is open now.
    pub connection_state: ConnectionState,
    /// The time of the last change of `connection_state`.
    pub connection_state_updated_time: Timestamp,
    /// When it was heard of last.
    pub last_activity_time: Timestamp,
    /// Messages waiting for it.
    pub cloud_to_device_message_count: u64,
    /// The credentials with which it proves itself.
    pub authentication: Authentication,
}

impl Module {
    /// The JSON form for operators, without keys for those that may only read the registry.
    #[must_use]
    pub fn to_json(&self, with_keys: bool) -> Value {
        hide_keys(
            serde_json::to_value(self).unwrap_or_default(),
            &self.authentication,
            with_keys,
        )
    }

    /// The JSON form for device daemons, which know only the types `sas` and `none`.
    #[must_use]
    pub fn to_daemon_json(&self) -> Value {
        let mut document = self.to_json(true);
        if !matches!(self.authentication, Authentication::Sas { .. }) {
            document["authentication"]["type"] = json!("none");
        }
        document
    }
}

fn hide_keys(mut document: Value, authentication: &Authentication, with_keys: bool) -> Value {
    if !with_keys {
        document["authentication"] = authentication.to_json(false);
    }
    document
}

/// The answer of `GET /statistics/devices`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RegistryStatistics {
    /// The number of all devices.
    #[serde(rename = "totalDeviceCount")]
    pub total: u64,
    /// The number of enabled devices.
    #[serde(rename = "enabledDeviceCount")]
    pub enabled: u64,
    /// The number of disabled devices.
    #[serde(rename = "disabledDeviceCount")]
    pub disabled: u64,
}

/// The answer of `GET /statistics/service`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceStatistics {
    /// Identities with a live session.
    pub connected_device_count: u64,
}

#[cfg(test)]
mod tests;
