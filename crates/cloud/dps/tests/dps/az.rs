//! Requests of `az iot dps` (azure-cli 2.65.0 with azure-iot 0.25.0) as they were recorded,
//! with everything odd about them.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::harness::hierarchy::{Ca, chain, self_signed};
use crate::harness::{Answer, HOST, Service};
use software_tpm::SoftwareTpm;

/// Sends what `az` sends beside method, path and body. Its `--login` names the port,
/// and so does its token.
async fn az(
    service: &Service,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: String,
) -> Answer {
    let token = service.owner_of(&format!("{HOST}:8443"));
    assert!(token.contains("sr=dps.test%3A8443&"), "{token}");
    let mut request = Request::builder()
        .method(method)
        .uri(format!("{path}?api-version=2021-10-01"))
        .header("host", format!("{HOST}:8443"))
        .header(
            "user-agent",
            "python/3.11.7 (Linux) msrest/0.7.1 msrest_azure/0.6.4.post1 \
                 provisioningserviceclient/2021-10-01 Azure-SDK-For-Python \
                 IoTPlatformCliExtension/0.25.0",
        )
        .header("accept", "application/json")
        .header("accept-encoding", "gzip, deflate")
        .header(
            "x-ms-client-request-id",
            "3b0f0f6e-cc0b-11f0-9d2a-0242ac110002",
        )
        .header("accept-language", "en-US")
        .header("connection", "keep-alive")
        .header("content-type", "application/json; charset=utf-8")
        .header("authorization", token);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    service.send(request.body(Body::from(body)).unwrap()).await
}

async fn put(service: &Service, path: &str, body: &Value) -> Value {
    let answer = az(service, Method::PUT, path, &[], body.to_string()).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    answer.body
}

/// `az iot dps enrollment create`: what it always sends, and the attestation of this time.
fn individual(id: &str, attestation: &Value) -> Value {
    json!({
        "registrationId": id, "optionalDeviceInformation": {}, "attestation": attestation,
        "capabilities": {"iotEdge": true},
        "initialTwin": {"tags": {"site": "a"}, "properties": {"desired": {}}},
        "reprovisionPolicy": {"updateHubAssignment": true, "migrateDeviceData": true},
    })
}

/// `az iot dps enrollment-group create`, likewise.
fn group(id: &str, attestation: &Value) -> Value {
    json!({
        "enrollmentGroupId": id, "attestation": attestation, "capabilities": {"iotEdge": true},
        "initialTwin": {"tags": {}, "properties": {"desired": {}}},
        "reprovisionPolicy": {"updateHubAssignment": true, "migrateDeviceData": true},
        "allocationPolicy": "hashed", "iotHubs": ["hub.test"],
    })
}

fn no_keys() -> Value {
    json!({"type": "symmetricKey", "symmetricKey": {}})
}

#[tokio::test]
async fn creates_by_certificate_and_the_device_registers() {
    let service = Service::start().await;
    let leaf = self_signed("dev-001");
    // `az` strips the end of the file.
    let pem = leaf.to_pem().trim_end().to_owned();
    let attestation =
        json!({"type": "x509", "x509": {"clientCertificates": {"primary": {"certificate": pem}}}});
    let mut body = individual("dev-001", &attestation);
    body["deviceId"] = json!("dev-001");
    let created = put(&service, "/enrollments/dev-001", &body).await;
    assert_eq!(created["registrationState"]["status"], "unassigned");
    let state = service.provision("dev-001", &chain(&[&leaf])).await;
    assert_eq!(state["status"], "assigned");
    let answer = az(
        &service,
        Method::GET,
        "/registrations/dev-001",
        &[],
        String::new(),
    )
    .await;
    assert_eq!(answer.body["deviceId"], "dev-001");
}

#[tokio::test]
async fn creates_without_keys_and_shows_those_that_were_made() {
    let service = Service::start().await;
    let created = put(
        &service,
        "/enrollments/sym-1",
        &individual("sym-1", &no_keys()),
    )
    .await;
    assert_eq!(created["attestation"]["type"], "symmetricKey");
    put(
        &service,
        "/enrollmentGroups/sym-g",
        &group("sym-g", &no_keys()),
    )
    .await;
    for path in ["/enrollments/sym-1", "/enrollmentGroups/sym-g"] {
        let mechanism = format!("{path}/attestationmechanism");
        let answer = az(&service, Method::POST, &mechanism, &[], String::new()).await;
        assert_eq!(answer.body["type"], "symmetricKey");
        for name in ["primaryKey", "secondaryKey"] {
            let key = answer.body["symmetricKey"][name].as_str().unwrap();
            assert_eq!(key.len(), 88, "64 bytes in base64");
        }
        let read = az(&service, Method::GET, path, &[], String::new()).await;
        assert_eq!(read.body["attestation"], json!({"type": "symmetricKey"}));
    }
}

#[tokio::test]
async fn creates_by_the_endorsement_key_of_a_tpm() {
    let service = Service::start().await;
    let endorsement_key = STANDARD.encode(SoftwareTpm::new().endorsement_key());
    assert!(endorsement_key.starts_with("AToA"), "{endorsement_key}");
    let attestation = json!({"type": "tpm", "tpm": {"endorsementKey": endorsement_key}});
    let created = put(
        &service,
        "/enrollments/tpm-1",
        &individual("tpm-1", &attestation),
    )
    .await;
    assert_eq!(created["attestation"], attestation);
    let path = "/enrollments/tpm-1";
    let gone = az(
        &service,
        Method::DELETE,
        path,
        &[("if-match", "*")],
        String::new(),
    )
    .await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.body);
}

/// `az iot dps enrollment-group create --root-ca-name`: read as what it is, and no group comes of a
/// CA that nobody vouches for.
#[tokio::test]
async fn creates_no_group_by_the_name_of_an_unknown_ca() {
    let service = Service::start().await;
    let reference = json!({"type": "x509", "x509": {"caReferences": {"primary": "myroot"}}});
    let path = "/enrollmentGroups/site-a";
    let body = group("site-a", &reference).to_string();
    let refused = az(&service, Method::PUT, path, &[], body).await;
    assert_eq!(refused.error(), 400_004);
    let read = az(&service, Method::GET, path, &[], String::new()).await;
    assert_eq!(read.error(), 404_204);
}

#[tokio::test]
async fn lists_with_the_python_representation_of_its_query_page_by_page() {
    const QUERY: &str = r#"{"query": "{'additional_properties': {}, 'query': 'SELECT *'}"}"#;
    let service = Service::start().await;
    for id in ["a", "b", "c"] {
        put(
            &service,
            &format!("/enrollments/{id}"),
            &individual(id, &no_keys()),
        )
        .await;
        put(
            &service,
            &format!("/enrollmentGroups/{id}"),
            &group(id, &no_keys()),
        )
        .await;
    }
    for (path, id, item_type) in [
        ("/enrollments/query", "registrationId", "enrollment"),
        (
            "/enrollmentGroups/query",
            "enrollmentGroupId",
            "enrollmentGroup",
        ),
    ] {
        let uncached = ("cache-control", "no-cache, must-revalidate");
        let top = [uncached, ("x-ms-max-item-count", "2")];
        let first = az(&service, Method::POST, path, &top, QUERY.to_owned()).await;
        assert_eq!(first.status, StatusCode::OK, "{}", first.body);
        assert_eq!(first.header("x-ms-item-type"), item_type);
        let token = first.header("x-ms-continuation").to_owned();
        let on = [uncached, ("x-ms-continuation", token.as_str())];
        let rest = az(&service, Method::POST, path, &on, QUERY.to_owned()).await;
        assert!(!rest.headers.contains_key("x-ms-continuation"));
        let rows = |answer: &Answer| answer.body.as_array().unwrap().clone();
        let ids: Vec<Value> = [rows(&first), rows(&rest)]
            .concat()
            .iter()
            .map(|row| row[id].clone())
            .collect();
        assert_eq!(ids, ["a", "b", "c"]);
    }
}

/// `az iot dps enrollment update`: reads, asks for the keys, and sends back the whole record
/// as its models make it.
#[tokio::test]
async fn updates_by_an_echo_with_its_wrappers_and_keeps_the_keys() {
    let service = Service::start().await;
    let path = "/enrollments/sym-1";
    put(&service, path, &individual("sym-1", &no_keys())).await;
    let mechanism = format!("{path}/attestationmechanism");
    let keys = az(&service, Method::POST, &mechanism, &[], String::new())
        .await
        .body;
    let mut echo = az(&service, Method::GET, path, &[], String::new())
        .await
        .body;
    let record = echo.as_object_mut().unwrap();
    for dropped in [
        "registrationState",
        "createdDateTimeUtc",
        "lastUpdatedDateTimeUtc",
    ] {
        assert!(record.remove(dropped).is_some(), "{dropped}");
    }
    echo["attestation"] = keys.clone();
    echo["optionalDeviceInformation"] = json!({"additional_properties": {}});
    echo["initialTwin"] = json!({
        "tags": {"additional_properties": {"site": "a"}},
        "properties": {"additional_properties": {}, "desired": {"additional_properties": {}}},
    });
    echo["provisioningStatus"] = json!("disabled");
    let updated = az(
        &service,
        Method::PUT,
        path,
        &[("if-match", "*")],
        echo.to_string(),
    )
    .await;
    assert_eq!(updated.status, StatusCode::OK, "{}", updated.body);
    assert_eq!(updated.body["provisioningStatus"], "disabled");
    assert_eq!(
        updated.body["initialTwin"],
        json!({"tags": {"site": "a"}, "properties": {"desired": {}}})
    );
    assert_ne!(updated.body["etag"], echo["etag"]);
    let after = az(&service, Method::POST, &mechanism, &[], String::new()).await;
    assert_eq!(after.body, keys);
}

/// The dates of an echoed certificate have milliseconds; Azure's and ours have seven digits.
#[tokio::test]
async fn updates_a_group_by_an_echo_of_what_is_said_about_its_certificate() {
    let service = Service::start().await;
    let root = Ca::root("root");
    let pem = root.certificate.to_pem().trim_end().to_owned();
    let attestation =
        json!({"type": "x509", "x509": {"signingCertificates": {"primary": {"certificate": pem}}}});
    let path = "/enrollmentGroups/site-a";
    let mut echo = put(&service, path, &group("site-a", &attestation)).await;
    let info = &mut echo["attestation"]["x509"]["signingCertificates"]["primary"]["info"];
    for date in ["notBeforeUtc", "notAfterUtc"] {
        let seconds = info[date]
            .as_str()
            .unwrap()
            .split('.')
            .next()
            .unwrap()
            .to_owned();
        info[date] = json!(format!("{seconds}.000Z"));
    }
    echo["capabilities"]["iotEdge"] = json!(false);
    let updated = az(
        &service,
        Method::PUT,
        path,
        &[("if-match", "*")],
        echo.to_string(),
    )
    .await;
    assert_eq!(updated.status, StatusCode::OK, "{}", updated.body);
    assert_eq!(updated.body["capabilities"], json!({"iotEdge": false}));
    let state = service
        .provision("member", &chain(&[&root.leaf("member")]))
        .await;
    assert_eq!(state["x509"]["enrollmentGroupId"], "site-a");
}

#[tokio::test]
async fn lists_the_registrations_of_a_group_without_a_body() {
    let service = Service::start().await;
    put(
        &service,
        "/enrollmentGroups/site-a",
        &group("site-a", &no_keys()),
    )
    .await;
    let listed = az(
        &service,
        Method::POST,
        "/registrations/site-a/query",
        &[],
        String::new(),
    )
    .await;
    assert_eq!(listed.status, StatusCode::OK, "{}", listed.body);
    assert_eq!(listed.body, json!([]));
    assert_eq!(listed.header("x-ms-item-type"), "deviceRegistration");
}

#[tokio::test]
async fn deletes_whatever_version_there_is() {
    let service = Service::start().await;
    put(
        &service,
        "/enrollments/sym-1",
        &individual("sym-1", &no_keys()),
    )
    .await;
    put(
        &service,
        "/enrollmentGroups/sym-g",
        &group("sym-g", &no_keys()),
    )
    .await;
    for path in ["/enrollments/sym-1", "/enrollmentGroups/sym-g"] {
        for star in ["*", "\"*\""] {
            let gone = az(
                &service,
                Method::DELETE,
                path,
                &[("if-match", star)],
                String::new(),
            )
            .await;
            assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.body);
            let body = if path.contains("Groups") {
                group("sym-g", &no_keys())
            } else {
                individual("sym-1", &no_keys())
            };
            put(&service, path, &body).await;
        }
    }
}
