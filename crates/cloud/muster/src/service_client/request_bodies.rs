//! The request bodies of the command line, in the shapes that `az iot` sends.
//!
//! The services read these with `wire`; tests hold the two against each other.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

pub mod settings;

use wire::service_api::identity::KeyText;

/// How devices prove themselves, as far as an operator says it. Slots that are `None`
/// stay as they are.
#[derive(Debug, Clone)]
pub enum AttestationSettings {
    /// By certificates, PEM: the device's own, or those of its issuer.
    Certificates {
        primary: Option<String>,
        secondary: Option<String>,
    },
    /// By CA certificates of the service, by name.
    CaReferences {
        primary: Option<String>,
        secondary: Option<String>,
    },
    /// By keys; the service generates those that are not given.
    SymmetricKey {
        primary: Option<KeyText>,
        secondary: Option<KeyText>,
    },
    /// By a TPM, base64 of its public keys.
    Tpm {
        endorsement_key: Option<String>,
        /// The storage root key.
        storage_root_key: Option<String>,
    },
}

impl AttestationSettings {
    /// Writes what is given into the member `attestation`; `certificates` is
    /// its name for certificates.
    fn write(&self, attestation: &mut Value, certificates: &str) {
        let pem = |pem: &String| json!({ "certificate": pem });
        let name = |name: &String| json!(name);
        let key = |key: &KeyText| json!(key.reveal());
        match self {
            Self::Certificates { primary, secondary } => {
                attestation["type"] = json!("x509");
                let slots = &mut attestation["x509"][certificates];
                put(slots, "primary", primary.as_ref().map(pem));
                put(slots, "secondary", secondary.as_ref().map(pem));
            }
            Self::CaReferences { primary, secondary } => {
                attestation["type"] = json!("x509");
                let slots = &mut attestation["x509"]["caReferences"];
                put(slots, "primary", primary.as_ref().map(name));
                put(slots, "secondary", secondary.as_ref().map(name));
            }
            Self::SymmetricKey { primary, secondary } => {
                attestation["type"] = json!("symmetricKey");
                if attestation["symmetricKey"].is_null() {
                    attestation["symmetricKey"] = json!({});
                }
                let slots = &mut attestation["symmetricKey"];
                put(slots, "primaryKey", primary.as_ref().map(key));
                put(slots, "secondaryKey", secondary.as_ref().map(key));
            }
            Self::Tpm {
                endorsement_key,
                storage_root_key,
            } => {
                attestation["type"] = json!("tpm");
                let slots = &mut attestation["tpm"];
                put(slots, "endorsementKey", endorsement_key.as_ref().map(name));
                put(slots, "storageRootKey", storage_root_key.as_ref().map(name));
            }
        }
    }
}

fn put(object: &mut Value, name: &str, value: Option<Value>) {
    if let Some(value) = value {
        object[name] = value;
    }
}

/// What an individual enrollment and an enrollment group have in common.
#[derive(Debug, Clone, Default)]
pub struct EnrollmentSettings {
    /// How devices prove themselves; `None` leaves it as it is.
    pub attestation: Option<AttestationSettings>,
    /// Whether the primary certificate, or the name of one, is taken away.
    pub without_primary: bool,
    /// The same of the secondary.
    pub without_secondary: bool,
    /// Whether devices become IoT Edge devices.
    pub edge_enabled: Option<bool>,
    /// Host names of the hubs that may be chosen; empty means all linked ones.
    pub hubs: Vec<String>,
    /// `hashed`, `geoLatency`, `static` or `custom`.
    pub allocation_policy: Option<String>,
    /// URL and api-version of the webhook that chooses.
    pub webhook: Option<(String, String)>,
    /// Tags of the first twin.
    pub tags: Option<Map<String, Value>>,
    /// Desired properties of the first twin.
    pub desired: Option<Map<String, Value>>,
    /// Whether registrations are admitted.
    pub enabled: Option<bool>,
    /// `(updateHubAssignment, migrateDeviceData)`.
    pub reprovision: Option<(bool, bool)>,
    pub issuer: IssuerChanges,
    /// The CA certificates that devices are told to trust; an empty text takes them away.
    pub trust_bundle: Option<String>,
}

/// The issuer of certificates; an empty text removes a name.
#[derive(Debug, Clone, Default)]
pub struct IssuerChanges {
    pub certificate_authority: Option<String>,
    pub certificate_policy: Option<String>,
    pub namespace: Option<String>,
}

impl IssuerChanges {
    /// The policy is one of the issuer, and the namespace has both: without an issuer there is
    /// neither, and another issuer has another policy.
    fn write(&self, record: &mut Map<String, Value>) {
        const CA: &str = "certificateAuthorityName";
        const POLICY: &str = "certificatePolicyName";
        const NAMESPACE: &str = "namespaceName";
        if let Some(issuer) = &self.certificate_authority {
            let is_other = record.get(CA).is_some_and(|stored| stored != issuer);
            if is_other {
                record.remove(POLICY);
            }
            if issuer.is_empty() {
                record.remove(NAMESPACE);
            }
            record.insert(CA.into(), json!(issuer));
        }
        for (member, name) in [
            (POLICY, &self.certificate_policy),
            (NAMESPACE, &self.namespace),
        ] {
            if let Some(name) = name {
                record.insert(member.into(), json!(name));
            }
        }
    }
}

impl EnrollmentSettings {
    /// Writes what is set over `record`, which is empty for a new enrollment and the stored
    /// record for an update.
    fn write(&self, record: &mut Map<String, Value>, certificates: &str) {
        if let Some(attestation) = &self.attestation {
            let member = record.entry("attestation").or_insert_with(|| json!({}));
            attestation.write(member, certificates);
        }
        for (slot, is_removed) in [
            ("primary", self.without_primary),
            ("secondary", self.without_secondary),
        ] {
            if is_removed {
                remove_slot(record, certificates, slot);
            }
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
        if let Some((url, version)) = &self.webhook {
            record.insert(
                "customAllocationDefinition".into(),
                json!({"webhookUrl": url, "apiVersion": version}),
            );
        }
        if let Some(enabled) = self.enabled {
            let status = if enabled { "enabled" } else { "disabled" };
            record.insert("provisioningStatus".into(), json!(status));
        }
        if let Some((update, migrate)) = self.reprovision {
            let policy = json!({ "updateHubAssignment": update, "migrateDeviceData": migrate });
            record.insert("reprovisionPolicy".into(), policy);
        }
        self.issuer.write(record);
        if let Some(bundle) = &self.trust_bundle {
            record.insert("trustBundleId".into(), json!(bundle));
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

/// Takes one certificate, or the name of one, out of a record.
fn remove_slot(record: &mut Map<String, Value>, certificates: &str, slot: &str) {
    let Some(x509) = record
        .get_mut("attestation")
        .and_then(|a| a.get_mut("x509"))
    else {
        return;
    };
    for member in [certificates, "caReferences"] {
        if let Some(slots) = x509.get_mut(member).and_then(Value::as_object_mut) {
            slots.remove(slot);
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

/// A cloud-to-device message: a batch of one, whose property names keep their case.
pub fn cloud_message(properties: &[(String, String)], body: &[u8]) -> Value {
    let text = |(name, value): &(String, String)| (name.clone(), json!(value));
    let properties: Map<String, Value> = properties.iter().map(text).collect();
    json!([{"body": STANDARD.encode(body), "base64Encoded": true, "properties": properties}])
}

/// The body of `POST /twins/{id}/methods`; the timeouts, to connect and to answer, in seconds.
#[must_use]
pub fn method(name: &str, payload: &Value, (connect, response): (u32, u32)) -> Value {
    json!({ "methodName": name, "payload": payload, "responseTimeoutInSeconds": response,
        "connectTimeoutInSeconds": connect })
}

/// A configuration to be created.
pub struct NewConfiguration<'a> {
    pub id: &'a str,
    /// The object with `modulesContent`, `deviceContent` or `moduleContent`, or one that has it as
    /// `content`: people keep both in files.
    pub content: &'a Value,
    pub target_condition: &'a str,
    pub priority: u32,
    pub labels: Option<Map<String, Value>>,
    pub metrics: Option<Value>,
}

/// The body of `PUT /configurations/{id}`.
#[must_use]
pub fn configuration(new: NewConfiguration<'_>) -> Value {
    let mut body = json!({
        "id": new.id,
        "schemaVersion": "2.0",
        "content": content(new.content),
        "targetCondition": new.target_condition,
        "priority": new.priority,
        "metrics": new.metrics.unwrap_or_else(|| json!({})),
        "etag": "*",
    });
    if let Some(labels) = new.labels {
        body["labels"] = labels.into();
    }
    body
}

/// The content of a configuration, with or without its name around it.
#[must_use]
pub fn content(given: &Value) -> &Value {
    given.get("content").unwrap_or(given)
}
