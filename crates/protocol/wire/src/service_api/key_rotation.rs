//! `POST /devices/keys/regenerate`: new keys for several identities.

use serde::Serialize;
use serde_json::{Value, json};

use super::identity::KeyText;
use super::import_device::{ImportError, MAX_BULK};
use crate::lenient::{BodyError, Fields};

/// `policyKey`: the keys that are replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotatedKey {
    /// `primaryKey`.
    Primary,
    /// `secondaryKey`.
    Secondary,
    /// `both`.
    Both,
}

impl RotatedKey {
    const ALL: &[(Self, &'static str)] = &[
        (Self::Primary, "primaryKey"),
        (Self::Secondary, "secondaryKey"),
        (Self::Both, "both"),
    ];

    /// Its name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        let known = Self::ALL.iter().find(|(key, _)| *key == self);
        known.map_or("", |(_, name)| name)
    }
}

/// An identity as sent, not yet parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotationTarget<'a> {
    /// `id` of the device.
    pub device: &'a str,
    /// `moduleId`; `None` for the device itself.
    pub module: Option<&'a str>,
}

/// The body of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRotation<'a> {
    /// `policyKey`.
    pub key: RotatedKey,
    /// `devices`, 1 to 100.
    pub targets: Vec<RotationTarget<'a>>,
}

impl<'a> KeyRotation<'a> {
    /// Reads the body.
    ///
    /// # Errors
    /// When `policyKey` is unknown, or `devices` is not an array of 1 to 100 objects.
    pub fn parse(body: &'a Value) -> Result<Self, BodyError> {
        let fields = Fields::of_body(body)?;
        let text = fields.text("policyKey")?.unwrap_or_default();
        let mut known = RotatedKey::ALL.iter();
        let key = known.find(|(_, name)| name.eq_ignore_ascii_case(text));
        let (key, _) = key.ok_or_else(|| {
            fields.error("policyKey", "primaryKey, secondaryKey or both was expected")
        })?;
        let Some(Value::Array(items)) = fields.get("devices") else {
            return Err(fields.error("devices", "an array was expected"));
        };
        if items.is_empty() || items.len() > MAX_BULK {
            let count = items.len();
            let problem = format!("the array has {count} items; 1 to {MAX_BULK} are allowed");
            return Err(fields.error("devices", problem));
        }
        let target = |item: &'a Value| {
            let item = Fields::of_body(item)
                .map_err(|error| fields.error("devices", error.problem.clone()))?;
            Ok(RotationTarget {
                device: item.text("id")?.unwrap_or_default(),
                module: item.text("moduleId")?.filter(|id| !id.is_empty()),
            })
        };
        Ok(Self {
            key: *key,
            targets: items.iter().map(target).collect::<Result<_, BodyError>>()?,
        })
    }
}

/// The keys of one identity after the rotation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RotatedKeys {
    /// The device.
    pub id: String,
    /// The module; absent for a device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module_id: Option<String>,
    /// The primary key, new or kept.
    pub primary_key: KeyText,
    /// The secondary key, new or kept.
    pub secondary_key: KeyText,
}

/// The answer.
#[must_use]
pub fn rotation_result(key: RotatedKey, rotated: &[RotatedKeys], errors: &[ImportError]) -> Value {
    json!({ "policyKey": key.name(), "rotatedKeys": rotated, "errors": errors })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_keys_and_identities() {
        let body = json!({"policyKey": "primarykey", "devices": [{"id": "d", "moduleId": null},
            {"id": "d", "moduleId": "m"}]});
        let read = KeyRotation::parse(&body).unwrap();
        assert_eq!((read.key, read.targets.len()), (RotatedKey::Primary, 2));
        assert_eq!(read.targets[1].module, Some("m"));
        for (body, place) in [
            (json!({"policyKey": "third", "devices": [{}]}), "policyKey"),
            (json!({"policyKey": "both"}), "devices"),
            (json!({"policyKey": "both", "devices": []}), "devices"),
            (json!({"policyKey": "both", "devices": [1]}), "devices"),
        ] {
            assert_eq!(KeyRotation::parse(&body).unwrap_err().path, place);
        }
    }
}
