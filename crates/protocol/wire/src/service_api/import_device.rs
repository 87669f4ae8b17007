//! `ExportImportDevice`: one device or module of a bulk request, or one line of `devices.txt`.

use ids::{DeviceId, Etag, ModuleId};
use serde::Serialize;
use serde_json::{Value, json};

use super::identity::{DeviceRequest, ModuleRequest};
use crate::lenient::{BodyError, Fields};
use crate::twin::TwinChange;

/// Most items of a `POST /devices`.
pub const MAX_BULK: usize = 100;

/// What is done with one item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportMode {
    /// The identity must not exist.
    Create,
    /// It is created, or overwritten whatever its version.
    CreateOrUpdate,
    /// It is created, or overwritten when it has the version `eTag`.
    CreateOrUpdateIfMatchEtag,
    /// It must exist.
    Update,
    /// It must have the version `eTag`.
    UpdateIfMatchEtag,
    /// It is deleted, and must exist.
    Delete,
    /// It is deleted when it has the version `eTag`.
    DeleteIfMatchEtag,
    /// Tags and desired properties are merged into its twin.
    UpdateTwin,
    /// The same when the twin has the version `twinETag`.
    UpdateTwinIfMatchEtag,
}

impl ImportMode {
    const ALL: &[(Self, &'static str)] = &[
        (Self::Create, "create"),
        (Self::CreateOrUpdate, "createOrUpdate"),
        (Self::CreateOrUpdateIfMatchEtag, "createOrUpdateIfMatchETag"),
        (Self::Update, "update"),
        (Self::UpdateIfMatchEtag, "updateIfMatchETag"),
        (Self::Delete, "delete"),
        (Self::DeleteIfMatchEtag, "deleteIfMatchETag"),
        (Self::UpdateTwin, "updateTwin"),
        (Self::UpdateTwinIfMatchEtag, "updateTwinIfMatchETag"),
    ];

    /// Its name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        let known = Self::ALL.iter().find(|(mode, _)| *mode == self);
        known.map_or("", |(_, name)| name)
    }
}

/// One item: which identity, and what becomes of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportDevice {
    /// The device, or the one that the module belongs to.
    pub device: DeviceId,
    /// The module; `None` for a device.
    pub module: Option<ModuleId>,
    /// `importMode`; `createOrUpdate` when absent.
    pub mode: ImportMode,
    /// `eTag`, the version of the identity.
    pub etag: Option<Etag>,
    /// `twinETag`, the version of the twin.
    pub twin_etag: Option<Etag>,
    /// Status, authentication, capabilities and scopes of a device.
    pub identity: DeviceRequest,
    /// `managedBy` of a module.
    pub managed_by: Option<String>,
    /// `tags` and `properties.desired`.
    pub twin: TwinChange,
}

impl ImportDevice {
    /// Reads one item.
    ///
    /// # Errors
    /// When it names no device, or a member is not what it should be.
    pub fn parse(item: &Value) -> Result<Self, BodyError> {
        let fields = Fields::of_body(item)?;
        let id = fields.text("id")?.unwrap_or_default();
        let device = DeviceId::parse(id).map_err(|error| fields.error("id", error.to_string()))?;
        let module = fields.text("moduleId")?.filter(|id| !id.is_empty());
        let module = module.map(|id| {
            ModuleId::parse(id).map_err(|error| fields.error("moduleId", error.to_string()))
        });
        // Like If-Match: with quotes, as some SDKs send it, or without.
        let etag = |name| {
            let text = fields.text(name)?.map(|text| text.trim_matches('"'));
            let given = text.filter(|text| !text.is_empty() && *text != "*");
            let parsed = given.map(Etag::parse).transpose();
            parsed.map_err(|error| fields.error(name, error.to_string()))
        };
        Ok(Self {
            device,
            module: module.transpose()?,
            mode: mode(&fields)?,
            etag: etag("eTag")?,
            twin_etag: etag("twinETag")?,
            identity: DeviceRequest::parse(item)?,
            managed_by: ModuleRequest::parse(item)?.managed_by,
            twin: TwinChange::parse(item)?,
        })
    }

    /// The request for the identity of a module.
    #[must_use]
    pub fn module_request(&self) -> ModuleRequest {
        ModuleRequest {
            managed_by: self.managed_by.clone(),
            authentication: self.identity.authentication.clone(),
            ..ModuleRequest::default()
        }
    }
}

fn mode(fields: &Fields<'_>) -> Result<ImportMode, BodyError> {
    let Some(text) = fields.text("importMode")? else {
        return Ok(ImportMode::CreateOrUpdate);
    };
    let mut known = ImportMode::ALL.iter();
    let found = known.find(|(_, name)| name.eq_ignore_ascii_case(text));
    found.map(|(mode, _)| *mode).ok_or_else(|| {
        let names: Vec<_> = ImportMode::ALL.iter().map(|(_, name)| *name).collect();
        let problem = format!("{text:?} is not one of {}", names.join(", "));
        fields.error("importMode", problem)
    })
}

/// The items of `POST /devices`, an array of 1 to 100.
///
/// # Errors
/// When the body is something else.
pub fn bulk_items(body: &Value) -> Result<&[Value], BodyError> {
    let Value::Array(items) = body else {
        return Err(BodyError::new("", "an array of devices was expected"));
    };
    match items.len() {
        1..=MAX_BULK => Ok(items),
        count => Err(BodyError::new(
            "",
            format!("the array has {count} devices; 1 to {MAX_BULK} are allowed"),
        )),
    }
}

/// One item that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportError {
    /// `id` as sent.
    pub device_id: String,
    /// `moduleId` as sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module_id: Option<String>,
    /// Six digits; the first three are an HTTP status.
    pub error_code: u32,
    /// A description for people.
    pub error_status: String,
    /// What was asked for, as `importMode` names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<&'static str>,
}

/// The answer to `POST /devices`.
#[must_use]
pub fn bulk_result(errors: &[ImportError]) -> Value {
    json!({ "isSuccessful": errors.is_empty(), "errors": errors, "warnings": [] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_names_its_identity_and_mode() {
        let item = json!({"id": "d1", "moduleId": "m", "importMode": "UPDATETWINIFMATCHETAG",
            "eTag": "*", "twinETag": "\"AAAAAAAAAAE=\"", "status": "enabled", "managedBy": "IotEdge",
            "tags": {"a": 1}, "properties": {"desired": {"b": 2, "$version": 4}}});
        let read = ImportDevice::parse(&item).unwrap();
        assert_eq!(read.mode, ImportMode::UpdateTwinIfMatchEtag);
        assert_eq!(read.etag, None);
        assert_eq!(read.twin_etag.unwrap().as_str(), "AAAAAAAAAAE=");
        assert_eq!(read.managed_by.as_deref(), Some("IotEdge"));
        assert_eq!(Value::Object(read.twin.desired.unwrap()), json!({"b": 2}));
        let plain = ImportDevice::parse(&json!({"id": "d"})).unwrap();
        assert_eq!(
            (plain.mode, plain.module),
            (ImportMode::CreateOrUpdate, None)
        );
        for (item, place) in [
            (json!({}), "id"),
            (json!({"id": "d", "moduleId": "a/b"}), "moduleId"),
            (json!({"id": "d", "importMode": "x"}), "importMode"),
            (json!({"id": "d", "status": "on"}), "status"),
        ] {
            assert_eq!(ImportDevice::parse(&item).unwrap_err().path, place);
        }
    }

    #[test]
    fn a_request_has_1_to_100_items() {
        assert!(bulk_items(&json!([])).is_err());
        assert!(bulk_items(&json!({})).is_err());
        assert!(bulk_items(&json!(vec![0; MAX_BULK])).is_ok());
        assert!(bulk_items(&json!(vec![0; MAX_BULK + 1])).is_err());
    }
}
