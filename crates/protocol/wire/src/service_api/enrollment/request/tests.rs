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
        "attestation": {"type": "x509",
            "x509": {"clientCertificates": {"primary": {"certificate": "PEM"}}}},
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
            json!({"type": "symmetricKey", "symmetricKey": {"primaryKey": key,
                "secondaryKey": ""}}),
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
            json!({"attestation": {"type": "none"},
                "customAllocationDefinition": {"webhookUrl": "https://a"}}),
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
