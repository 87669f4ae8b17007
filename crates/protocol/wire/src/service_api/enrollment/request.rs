use ids::{DeviceId, EnrollmentId, HubHost, IdError, IssuerName, RegistrationId, TrustBundleId};
use serde_json::{Map, Value};

use super::attestation::{AttestationRequest, attestation};
use super::{
    AllocationPolicy, InitialProperties, InitialTwin, IssuancePolicy, ProvisioningStatus,
    ReprovisionPolicy,
};
use crate::lenient::{BodyError, Fields};
use crate::service_api::allocation::{CustomAllocation, WebhookUrl, WebhookVersion};
use crate::service_api::identity::Capabilities;

/// Most hubs that one enrollment may list.
const MAX_HUBS: usize = 50;

/// What requests for individual enrollments and groups have in common; absent members have their defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct SettingsRequest {
    /// `attestation`, required.
    pub attestation: AttestationRequest,
    /// `capabilities`.
    pub capabilities: Capabilities,
    /// `initialTwin`.
    pub initial_twin: InitialTwin,
    /// `provisioningStatus`.
    pub provisioning_status: ProvisioningStatus,
    /// `reprovisionPolicy`.
    pub reprovision_policy: ReprovisionPolicy,
    /// `allocationPolicy`.
    pub allocation_policy: Option<AllocationPolicy>,
    /// `iotHubs`, or the older `iotHubHostName`.
    pub iot_hubs: Vec<HubHost>,
    /// `customAllocationDefinition`, complete.
    pub custom_allocation: Option<CustomAllocation>,
    /// `clientCertificateIssuancePolicy`.
    pub client_certificate_issuance_policy: Option<IssuancePolicy>,
    /// `credentialPolicyName`; the same as the policy's, where both are given.
    pub credential_policy_name: Option<IssuerName>,
    /// `trustBundleId`.
    pub trust_bundle_id: Option<TrustBundleId>,
}

/// `PUT /enrollments/{id}`, and an item of a bulk operation.
#[derive(Debug, Clone, PartialEq)]
pub struct IndividualRequest {
    /// `registrationId`, to be compared with the path.
    pub registration_id: Option<RegistrationId>,
    /// `deviceId`.
    pub device_id: Option<DeviceId>,
    /// `optionalDeviceInformation`.
    pub optional_device_information: Option<Value>,
    /// The rest.
    pub settings: SettingsRequest,
}

/// `PUT /enrollmentGroups/{id}`, and an item of a bulk operation.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupRequest {
    /// `enrollmentGroupId`, to be compared with the path.
    pub enrollment_group_id: Option<EnrollmentId>,
    /// The rest.
    pub settings: SettingsRequest,
}

impl IndividualRequest {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// When a member has the wrong form; says which.
    pub fn parse(body: &Value) -> Result<Self, BodyError> {
        let fields = Fields::of_body(body)?;
        let information = fields.get("optionalDeviceInformation").cloned();
        Ok(Self {
            registration_id: parsed(&fields, "registrationId", RegistrationId::parse)?,
            device_id: parsed(&fields, "deviceId", DeviceId::parse)?,
            optional_device_information: information.map(unwrapped_value),
            settings: settings(&fields)?,
        })
    }
}

impl GroupRequest {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// When a member has the wrong form; says which.
    pub fn parse(body: &Value) -> Result<Self, BodyError> {
        let fields = Fields::of_body(body)?;
        Ok(Self {
            enrollment_group_id: parsed(&fields, "enrollmentGroupId", EnrollmentId::parse)?,
            settings: settings(&fields)?,
        })
    }
}

pub(super) fn parsed<T>(
    fields: &Fields<'_>,
    name: &str,
    parse: impl Fn(&str) -> Result<T, IdError>,
) -> Result<Option<T>, BodyError> {
    match fields.text(name)? {
        None | Some("") => Ok(None),
        Some(text) => parse(text)
            .map(Some)
            .map_err(|error| fields.error(name, error.to_string())),
    }
}

/// One of a few words, in any letter case.
pub(super) fn word<T: Copy>(
    fields: &Fields<'_>,
    name: &str,
    words: &[(&str, T)],
) -> Result<Option<T>, BodyError> {
    let Some(text) = fields.text(name)?.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    match words.iter().find(|(w, _)| w.eq_ignore_ascii_case(text)) {
        Some((_, value)) => Ok(Some(*value)),
        None => {
            let known: Vec<&str> = words.iter().map(|(w, _)| *w).collect();
            let problem = format!("{text:?} is not one of {}", known.join(", "));
            Err(fields.error(name, problem))
        }
    }
}

fn settings(fields: &Fields<'_>) -> Result<SettingsRequest, BodyError> {
    let capabilities = fields.object("capabilities")?;
    let iot_edge = capabilities
        .map(|c| c.boolean("iotEdge"))
        .transpose()?
        .flatten();
    let status = word(
        fields,
        "provisioningStatus",
        &[
            ("enabled", ProvisioningStatus::Enabled),
            ("disabled", ProvisioningStatus::Disabled),
        ],
    )?;
    let allocation_policy = word(
        fields,
        "allocationPolicy",
        &[
            ("hashed", AllocationPolicy::Hashed),
            ("geoLatency", AllocationPolicy::GeoLatency),
            ("static", AllocationPolicy::Static),
            ("custom", AllocationPolicy::Custom),
        ],
    )?;
    let (client_certificate_issuance_policy, credential_policy_name) = issuers(fields)?;
    Ok(SettingsRequest {
        client_certificate_issuance_policy,
        credential_policy_name,
        trust_bundle_id: parsed(fields, "trustBundleId", TrustBundleId::parse)?,
        attestation: attestation(fields)?,
        capabilities: Capabilities {
            iot_edge: iot_edge.unwrap_or_default(),
        },
        initial_twin: initial_twin(fields)?,
        provisioning_status: status.unwrap_or_default(),
        reprovision_policy: reprovision_policy(fields)?,
        allocation_policy,
        iot_hubs: iot_hubs(fields)?,
        custom_allocation: custom_allocation(fields)?,
    })
}

fn reprovision_policy(fields: &Fields<'_>) -> Result<ReprovisionPolicy, BodyError> {
    let default = ReprovisionPolicy::default();
    let Some(policy) = fields.object("reprovisionPolicy")? else {
        return Ok(default);
    };
    Ok(ReprovisionPolicy {
        update_hub_assignment: policy
            .boolean("updateHubAssignment")?
            .unwrap_or(default.update_hub_assignment),
        migrate_device_data: policy
            .boolean("migrateDeviceData")?
            .unwrap_or(default.migrate_device_data),
    })
}

fn custom_allocation(fields: &Fields<'_>) -> Result<Option<CustomAllocation>, BodyError> {
    let Some(definition) = fields.object("customAllocationDefinition")? else {
        return Ok(None);
    };
    let text = |name| {
        let text = definition.text(name)?.filter(|text| !text.is_empty());
        text.ok_or_else(|| definition.error(name, "is missing"))
    };
    Ok(Some(CustomAllocation {
        webhook_url: WebhookUrl::parse(text("webhookUrl")?)
            .map_err(|error| definition.error("webhookUrl", error.to_string()))?,
        api_version: WebhookVersion::parse(text("apiVersion")?)
            .map_err(|error| definition.error("apiVersion", error))?,
    }))
}

/// The issuer in the words of two preview api-versions; somebody who changes an entry in one of them may send both.
fn issuers(fields: &Fields<'_>) -> Result<(Option<IssuancePolicy>, Option<IssuerName>), BodyError> {
    const NEWER: &str = "credentialPolicyName";
    let newer = parsed(fields, NEWER, IssuerName::parse)?;
    let Some(policy) = fields.object("clientCertificateIssuancePolicy")? else {
        return Ok((None, newer));
    };
    let older = parsed(&policy, "certificateAuthorityName", IssuerName::parse)?;
    match (&older, &newer) {
        (Some(older), Some(newer)) if older != newer => {
            let problem =
                format!("{newer} is not {older}, the name in clientCertificateIssuancePolicy");
            Err(fields.error(NEWER, problem))
        }
        _ => Ok((
            older.map(|certificate_authority_name| IssuancePolicy {
                certificate_authority_name,
            }),
            newer,
        )),
    }
}

fn iot_hubs(fields: &Fields<'_>) -> Result<Vec<HubHost>, BodyError> {
    let mut texts = fields.texts("iotHubs")?.unwrap_or_default();
    if texts.is_empty()
        && let Some(single) = fields.text("iotHubHostName")?.filter(|t| !t.is_empty())
    {
        texts.push(single.to_owned());
    }
    if texts.len() > MAX_HUBS {
        let problem = format!(
            "{} hubs are listed, {MAX_HUBS} at most are allowed",
            texts.len()
        );
        return Err(fields.error("iotHubs", problem));
    }
    let parse = |text: &String| {
        HubHost::parse(text).map_err(|error| fields.error("iotHubs", error.to_string()))
    };
    texts.iter().map(parse).collect()
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
fn unwrapped(mut map: Map<String, Value>) -> Map<String, Value> {
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

fn unwrapped_value(value: Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(unwrapped(map)),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use ids::CertificateName;

    use super::super::{
        CaReferences, CertificatePairRequest, CertificateRequest, KeysRequest, TpmAttestation,
    };
    use super::*;
    use crate::binary::Base64Bytes;
    use crate::service_api::identity::KeyText;

    fn body(attestation: Value) -> Value {
        json!({"registrationId": "dev-001", "attestation": attestation})
    }

    #[test]
    fn what_az_creates() {
        let request = IndividualRequest::parse(&json!({
            "registrationId": "dev-001", "deviceId": "dev-001", "optionalDeviceInformation": {},
            "attestation": {"type": "x509", "x509": {"clientCertificates": {"primary": {"certificate": "PEM"}}}},
            "capabilities": {"iotEdge": true},
            "initialTwin": {"tags": {"site": "a"}, "properties": {"desired": {}}},
            "reprovisionPolicy": {"updateHubAssignment": true, "migrateDeviceData": false},
        }))
        .unwrap();
        assert!(request.settings.capabilities.iot_edge);
        assert!(!request.settings.reprovision_policy.migrate_device_data);
        assert_eq!(request.settings.initial_twin.tags["site"], "a");
        assert_eq!(request.settings.allocation_policy, None);
        assert_eq!(
            request.settings.attestation,
            AttestationRequest::ClientCertificates(CertificatePairRequest {
                primary: Some(CertificateRequest::Text("PEM".to_owned())),
                secondary: None,
            })
        );
    }

    #[test]
    fn what_az_wraps_on_update_is_unwrapped() {
        let mut sent = body(json!({"type": "symmetricKey"}));
        sent["initialTwin"] = json!({
            "tags": {"additional_properties": {"site": "a"}, "new": 1},
            "properties": {"desired": {"additional_properties": {}}},
        });
        let twin = IndividualRequest::parse(&sent)
            .unwrap()
            .settings
            .initial_twin;
        assert_eq!(Value::Object(twin.tags), json!({"new": 1, "site": "a"}));
        assert!(twin.properties.desired.is_empty());
    }

    #[test]
    fn the_older_single_hub_is_a_list_of_one() {
        let mut sent = body(json!({"type": "none"}));
        sent["iotHubHostName"] = json!("hub.example");
        let request = GroupRequest::parse(&sent).unwrap();
        assert_eq!(
            request.settings.iot_hubs,
            [HubHost::parse("hub.example").unwrap()]
        );
    }

    #[test]
    fn attestations_by_kind() {
        let key = "MDEyMzQ1Njc4OWFiY2RlZg==";
        let keys = |primary: Option<&str>| {
            AttestationRequest::SymmetricKey(KeysRequest {
                primary: primary.map(|key| KeyText::parse(key).unwrap()),
                secondary: None,
            })
        };
        for (sent, expected) in [
            (
                json!({"type": "symmetricKey", "symmetricKey": {}}),
                keys(None),
            ),
            (json!({"type": "symmetricKey"}), keys(None)),
            (
                json!({"type": "symmetricKey", "symmetricKey": {"primaryKey": key, "secondaryKey": ""}}),
                keys(Some(key)),
            ),
            (
                json!({"type": "TPM", "tpm": {"endorsementKey": "AToA"}}),
                AttestationRequest::Tpm(TpmAttestation {
                    endorsement_key: Base64Bytes::parse("AToA", 3).unwrap(),
                    storage_root_key: None,
                }),
            ),
            (
                json!({"type": "x509", "x509": {"caReferences": {"primary": "root"}}}),
                AttestationRequest::CaReferences(CaReferences {
                    primary: Some(CertificateName::parse("root").unwrap()),
                    secondary: None,
                }),
            ),
            (json!({"type": "none"}), AttestationRequest::None),
        ] {
            let request = GroupRequest::parse(&body(sent)).unwrap();
            assert_eq!(request.settings.attestation, expected);
        }
    }

    #[test]
    fn faults_name_their_place() {
        for (sent, place) in [
            (json!({}), "attestation"),
            (body(json!({"type": "magic"})), "attestation.type"),
            (body(json!({"type": "x509"})), "attestation.x509"),
            (body(json!({"type": "tpm"})), "attestation.tpm"),
            (
                body(json!({"type": "tpm", "tpm": {}})),
                "attestation.tpm.endorsementKey",
            ),
            (
                body(json!({"type": "tpm", "tpm": {"endorsementKey": "?"}})),
                "attestation.tpm.endorsementKey",
            ),
            (
                body(json!({"type": "symmetricKey", "symmetricKey": {"primaryKey": "short"}})),
                "attestation.symmetricKey.primaryKey",
            ),
            (
                body(json!({"type": "x509", "x509": {"caReferences": {}}})),
                "attestation.x509.caReferences.primary",
            ),
            (
                body(json!({"type": "x509", "x509": {"signingCertificates": {}}})),
                "attestation.x509.signingCertificates.primary",
            ),
            (
                json!({"attestation": {"type": "none"}, "allocationPolicy": "nearest"}),
                "allocationPolicy",
            ),
            (
                json!({"attestation": {"type": "none"}, "customAllocationDefinition": {}}),
                "customAllocationDefinition.webhookUrl",
            ),
            (
                json!({"attestation": {"type": "none"}, "customAllocationDefinition": {"webhookUrl": "https://a"}}),
                "customAllocationDefinition.apiVersion",
            ),
            (
                json!({"attestation": {"type": "none"}, "iotHubs": ["a b"]}),
                "iotHubs",
            ),
            (
                json!({"attestation": {"type": "none"}, "enrollmentGroupId": "a/b"}),
                "enrollmentGroupId",
            ),
        ] {
            assert_eq!(GroupRequest::parse(&sent).unwrap_err().path, place);
        }
    }
}
