//! What an operator's tool sends to the service APIs, in the shapes that `az iot` sends.
//!
//! The services read these with the other modules of this crate; tests hold the two against each other.

use serde_json::{Map, Value, json};

/// What an individual enrollment and an enrollment group have in common.
#[derive(Debug, Clone, Default)]
pub struct EnrollmentSettings {
    /// PEM of the primary certificate.
    pub primary: Option<String>,
    /// PEM of the secondary certificate.
    pub secondary: Option<String>,
    /// Whether devices become IoT Edge devices.
    pub edge_enabled: Option<bool>,
    /// Host names of the hubs that may be chosen; empty means all linked ones.
    pub hubs: Vec<String>,
    /// `hashed`, `geoLatency`, `static` or `custom`.
    pub allocation_policy: Option<String>,
    /// Tags of the first twin.
    pub tags: Option<Map<String, Value>>,
    /// Desired properties of the first twin.
    pub desired: Option<Map<String, Value>>,
    /// Whether registrations are admitted.
    pub enabled: Option<bool>,
    /// `(updateHubAssignment, migrateDeviceData)`.
    pub reprovision: Option<(bool, bool)>,
}

impl EnrollmentSettings {
    /// Writes what is set over `record`, which is empty for a new entry and the stored record for an update.
    fn write(&self, record: &mut Map<String, Value>, certificates: &str) {
        let certificate = |pem: &String| json!({ "certificate": pem });
        let slots = [("primary", &self.primary), ("secondary", &self.secondary)];
        for (slot, pem) in slots
            .into_iter()
            .filter_map(|(slot, pem)| Some((slot, pem.as_ref()?)))
        {
            let attestation = record
                .entry("attestation")
                .or_insert_with(|| json!({ "type": "x509", "x509": {} }));
            attestation["x509"][certificates][slot] = certificate(pem);
        }
        if let Some(edge) = self.edge_enabled {
            record.insert("capabilities".into(), json!({ "iotEdge": edge }));
        }
        if !self.hubs.is_empty() {
            record.insert("iotHubs".into(), json!(self.hubs));
        }
        if let Some(policy) = &self.allocation_policy {
            record.insert("allocationPolicy".into(), json!(policy));
        }
        if let Some(enabled) = self.enabled {
            let status = if enabled { "enabled" } else { "disabled" };
            record.insert("provisioningStatus".into(), json!(status));
        }
        if let Some((update, migrate)) = self.reprovision {
            let policy = json!({ "updateHubAssignment": update, "migrateDeviceData": migrate });
            record.insert("reprovisionPolicy".into(), policy);
        }
        if self.tags.is_some() || self.desired.is_some() {
            let twin = record.entry("initialTwin").or_insert_with(|| json!({}));
            if let Some(tags) = &self.tags {
                twin["tags"] = json!(tags);
            }
            if let Some(desired) = &self.desired {
                twin["properties"]["desired"] = json!(desired);
            }
        }
    }
}

/// The body of `PUT /enrollments/{id}`. `stored` is the record that an update starts from.
#[must_use]
pub fn enrollment(
    id: &str,
    device_id: Option<&str>,
    settings: &EnrollmentSettings,
    stored: Option<Value>,
) -> Value {
    let mut record = into_map(stored);
    record.insert("registrationId".into(), json!(id));
    if let Some(device_id) = device_id {
        record.insert("deviceId".into(), json!(device_id));
    }
    settings.write(&mut record, "clientCertificates");
    Value::Object(record)
}

/// The body of `PUT /enrollmentGroups/{id}`. `stored` is the record that an update starts from.
#[must_use]
pub fn enrollment_group(id: &str, settings: &EnrollmentSettings, stored: Option<Value>) -> Value {
    let mut record = into_map(stored);
    record.insert("enrollmentGroupId".into(), json!(id));
    settings.write(&mut record, "signingCertificates");
    Value::Object(record)
}

fn into_map(stored: Option<Value>) -> Map<String, Value> {
    match stored {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

/// The body of every query: enrollments, groups, devices.
#[must_use]
pub fn query(text: &str) -> Value {
    json!({ "query": text })
}

/// The body of `PATCH /twins/{id}`.
#[must_use]
pub fn twin_patch(tags: Option<Map<String, Value>>, desired: Option<Map<String, Value>>) -> Value {
    let mut patch = Map::new();
    if let Some(tags) = tags {
        patch.insert("tags".into(), Value::Object(tags));
    }
    if let Some(desired) = desired {
        patch.insert("properties".into(), json!({ "desired": desired }));
    }
    Value::Object(patch)
}

/// The body of `POST /twins/{id}/methods`; `timeout` in seconds.
#[must_use]
pub fn method(name: &str, payload: &Value, timeout: u32) -> Value {
    json!({ "methodName": name, "payload": payload, "responseTimeoutInSeconds": timeout, "connectTimeoutInSeconds": 0 })
}

/// The body of `PUT /configurations/{id}` for an edge deployment.
///
/// `content` may be the whole `content` object, or the object with `modulesContent`, as people keep both in files.
#[must_use]
pub fn deployment(
    id: &str,
    content: &Value,
    target_condition: &str,
    priority: u32,
    labels: Option<Value>,
) -> Value {
    let content = content.get("content").unwrap_or(content);
    let mut body = json!({
        "id": id,
        "schemaVersion": "2.0",
        "content": content,
        "targetCondition": target_condition,
        "priority": priority,
        "metrics": {},
        "etag": "*",
    });
    if let Some(labels) = labels {
        body["labels"] = labels;
    }
    body
}
