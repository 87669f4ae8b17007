//! Explanations of credentials that name no device, and of chains with a missing link.

use crate::harness::attempt::Attempt;
use crate::harness::hierarchy::Ca;
use crate::harness::{Service, group};
use serde_json::json;

/// A credential that names no device is explained all the same; a missing id is not the answer.
#[tokio::test]
async fn a_credential_that_names_no_device_is_explained() {
    let service = Service::start().await;
    let root = Ca::root("root");
    service
        .create("/enrollmentGroups/g", &group("g", &root.certificate))
        .await;
    let key = wire::sas::SharedAccessKey::from_bytes(vec![7; 32]).unwrap();
    let hub_token = wire::sas::build(
        "hub.example/devices/dev-1",
        None,
        service.now().plus(std::time::Duration::from_secs(3600)),
        &key,
    );
    let pem = |certificate: &pki::Certificate| json!({"certificates": certificate.to_pem()});
    let broken = format!(
        "{}-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
        root.leaf("dev-1").to_pem()
    );
    let many = root.leaf("dev-1").to_pem() + &root.certificate.to_pem().repeat(10);
    for (body, reason, id) in [
        (
            pem(&root.nameless_leaf()),
            "common_name_absent",
            json!(null),
        ),
        (
            pem(&root.leaf("Pump 7/a")),
            "common_name_mismatch",
            json!(null),
        ),
        (
            json!({"token": hub_token}),
            "token_other_resource",
            json!(null),
        ),
        (json!({"token": "nonsense"}), "token_malformed", json!(null)),
        (
            json!({"certificates": broken}),
            "certificate_unparsable",
            json!("dev-1"),
        ),
        (
            json!({"certificates": many}),
            "chain_too_long",
            json!("dev-1"),
        ),
        (
            json!({"certificates": "-----BEGIN CERTIFICATE-----\nMAA=\n-----END \
                    CERTIFICATE-----\n"}),
            "certificate_unparsable",
            json!(null),
        ),
    ] {
        let explanation = service.explained(&body).await;
        assert_eq!(explanation["decision"], "refused", "{explanation:#}");
        assert_eq!(explanation["reason"], reason, "{explanation:#}");
        assert_eq!(explanation["registrationId"], id, "{explanation:#}");
    }
}

#[tokio::test]
async fn a_link_that_is_missing_is_named() {
    let service = Service::start().await;
    let root = Ca::root("root");
    let middle = root.intermediate("line 7");
    service
        .create("/enrollmentGroups/g", &group("g", &root.certificate))
        .await;
    let explanation = service
        .explain("dev-1", &Attempt::by(&[&middle.leaf("dev-1")]))
        .await;
    assert_eq!(explanation["reason"], "not_enrolled");
    let message = explanation["message"].as_str().unwrap();
    assert!(message.contains("CN=line 7"), "{message}");
    // A chain that ends at a root of its own has no missing issuer.
    let other = Ca::root("other");
    let explanation = service
        .explain(
            "dev-1",
            &Attempt::by(&[&other.leaf("dev-1"), &other.certificate]),
        )
        .await;
    let message = explanation["message"].as_str().unwrap();
    assert!(!message.contains("CN=other"), "{message}");
}
