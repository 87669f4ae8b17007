use serde_json::json;

use super::*;

const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

fn request(body: &Value) -> DeviceRequest {
    DeviceRequest::parse(body).unwrap()
}

#[test]
fn the_bodies_of_real_clients_are_understood() {
    let az = request(&json!({"deviceId":"edge-1","status":"enabled",
        "authentication":{"symmetricKey":{},"type":"sas"},"capabilities":{"iotEdge":true},"parentScopes":[]}));
    assert_eq!(
        az.authentication,
        Some(AuthenticationRequest::Sas {
            primary: None,
            secondary: None
        })
    );
    assert_eq!(az.iot_edge, Some(true));

    let node = request(&json!({"deviceId":"n1",
        "authentication":{"type":"sas","symmetricKey":{"primaryKey":"","secondaryKey":""}}}));
    assert_eq!(
        node.authentication,
        Some(AuthenticationRequest::Sas {
            primary: None,
            secondary: None
        })
    );

    let thumbprint = "ab".repeat(32);
    let inferred = request(&json!({"deviceId":"x",
        "authentication":{"x509Thumbprint":{"primaryThumbprint": thumbprint}}}));
    let expected = CertificateThumbprint::parse(&thumbprint).unwrap();
    assert_eq!(
        inferred.authentication,
        Some(AuthenticationRequest::SelfSigned {
            primary: Some(expected),
            secondary: None
        })
    );

    let daemon = ModuleRequest::parse(&json!({"moduleId":"m1","deviceId":"my-device"})).unwrap();
    assert_eq!(daemon.authentication, None);
}

#[test]
fn wrong_members_are_named() {
    for (body, place) in [
        (json!({"status": "on"}), "status"),
        (json!({"deviceId": "a b"}), "deviceId"),
        (
            json!({"authentication": {"type": "tpm"}}),
            "authentication.type",
        ),
        (
            json!({"authentication": {"symmetricKey": {"primaryKey": "short"}}}),
            "authentication.symmetricKey.primaryKey",
        ),
        (
            json!({"authentication": {"type": "selfSigned"}}),
            "authentication.x509Thumbprint",
        ),
        (json!({"statusReason": "x".repeat(129)}), "statusReason"),
        (
            json!({"capabilities": {"iotEdge": 3}}),
            "capabilities.iotEdge",
        ),
    ] {
        assert_eq!(
            DeviceRequest::parse(&body).unwrap_err().path,
            place,
            "{body}"
        );
    }
}

#[test]
fn keys_are_shown_only_on_request() {
    let key = KeyText::parse(KEY).unwrap();
    let authentication = Authentication::Sas {
        primary: key.clone(),
        secondary: key.clone(),
    };
    assert_eq!(
        authentication.to_json(true)["symmetricKey"]["primaryKey"],
        KEY
    );
    assert_eq!(
        authentication.to_json(false)["symmetricKey"]["primaryKey"],
        Value::Null
    );
    assert!(!format!("{authentication:?}").contains("AAAA"));
    assert_eq!(
        Authentication::parse_complete(&authentication.to_json(true)).unwrap(),
        authentication
    );
}
