//! What an api-version changes: the members in which an enrollment names its issuer. Versions that
//! are newer than this server, or unknown, are served like the newest.

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Value, json};

use crate::harness::hierarchy::{chain, self_signed};
use crate::harness::keys::{key, symmetric};
use crate::harness::mqtt::{REGISTER, ask, connect};
use crate::harness::{Answer, Service, individual};

/// The members of all api-versions that say something about the issuer.
const MEMBERS: [&str; 5] = [
    "certificateAuthorityName",
    "certificatePolicyName",
    "namespaceName",
    "credentialPolicyName",
    "clientCertificateIssuancePolicy",
];

const NEWER: [&str; 4] = ["2026-11-01", "2026-11-02-preview", "2031-05-01", "latest"];

async fn ask_as(
    service: &Service,
    (method, path, version): (Method, &str, &str),
    body: &Value,
) -> Answer {
    let mut request = Request::builder()
        .method(method.clone())
        .uri(format!("{path}?api-version={version}"))
        .header("authorization", service.owner());
    if method == Method::PUT {
        request = request.header("if-match", "*");
    }
    service
        .send(request.body(Body::from(body.to_string())).unwrap())
        .await
}

/// What a document says about its issuer.
fn members(document: &Value) -> Value {
    let said = MEMBERS
        .iter()
        .filter_map(|member| Some(((*member).to_owned(), document.get(*member)?.clone())));
    Value::Object(said.collect())
}

fn issuing(more: &Value) -> Value {
    let mut enrollment = symmetric("registrationId", "dev-1", &json!({}));
    let more = more.as_object().unwrap().clone();
    enrollment.as_object_mut().unwrap().extend(more);
    enrollment
}

async fn with_issuers(names: &[&str]) -> Service {
    let service = Service::start().await;
    for name in names {
        let path = format!("/muster/v1/dps/issuers/{name}");
        service.create(&path, &json!({})).await;
    }
    service
        .create("/enrollments/dev-1", &issuing(&json!({})))
        .await;
    service
}

#[tokio::test]
async fn an_issuer_is_named_in_the_members_of_the_version_that_asks() {
    let service = with_issuers(&["fleet"]).await;
    let newest = json!({"certificateAuthorityName": "fleet",
        "certificatePolicyName": "days-90", "namespaceName": "plant"});
    let put = (Method::PUT, "/enrollments/dev-1", "2026-11-01");
    let written = ask_as(&service, put, &issuing(&newest)).await;
    assert_eq!(members(&written.body), newest, "{}", written.body);
    let older = json!({"credentialPolicyName": "fleet"});
    let oldest = json!({"clientCertificateIssuancePolicy": {"certificateAuthorityName": "fleet"}});
    let everything = json!({"query": "SELECT *"});
    for (version, wanted) in [
        ("2021-10-01", &older),
        ("2021-11-01-preview", &oldest),
        ("2025-07-01-preview", &older),
        ("2026-11-01", &newest),
        ("2026-11-02-preview", &newest),
        ("latest", &newest),
    ] {
        let get = (Method::GET, "/enrollments/dev-1", version);
        let read = ask_as(&service, get, &json!({})).await;
        assert_eq!(members(&read.body), *wanted, "{version}");
        let query = (Method::POST, "/enrollments/query", version);
        let listed = ask_as(&service, query, &everything).await;
        assert_eq!(members(&listed.body[0]), *wanted, "{version}");
    }
    // Each version reads the members of all others, and a record can be written back as it was read.
    for named in [&older, &oldest, &newest] {
        for version in ["2021-10-01", "2025-07-01-preview", "2026-11-01"] {
            let put = (Method::PUT, "/enrollments/dev-1", version);
            let written = ask_as(&service, put, &issuing(named)).await;
            assert_eq!(written.status, 200, "{}", written.body);
            let get = (Method::GET, "/enrollments/dev-1", "2026-11-02-preview");
            let read = ask_as(&service, get, &json!({})).await;
            assert_eq!(read.body["certificateAuthorityName"], "fleet", "{version}");
        }
    }
    let bare = (Method::PUT, "/enrollments/dev-1", "2026-11-01");
    let removed = ask_as(&service, bare, &issuing(&json!({}))).await;
    assert_eq!(members(&removed.body), json!({}));
}

#[tokio::test]
async fn two_issuers_in_one_enrollment_are_refused() {
    let service = with_issuers(&["fleet", "lab"]).await;
    for (named, wanted) in [
        (
            json!({"certificateAuthorityName": "fleet", "credentialPolicyName": "lab"}),
            "fleet is not lab, the issuer in credentialPolicyName",
        ),
        (
            json!({"certificateAuthorityName": "fleet", "certificatePolicyName": "LAB"}),
            "certificatePolicyName is lab, which is another issuer",
        ),
        (
            json!({"certificatePolicyName": "fleet"}),
            "certificatePolicyName alone names no issuer",
        ),
        (
            json!({"certificateAuthorityName": "nobody", "certificatePolicyName": "days-90"}),
            "device issuer nobody does not exist",
        ),
    ] {
        let put = (Method::PUT, "/enrollments/dev-1", "2026-11-01");
        let refused = ask_as(&service, put, &issuing(&named)).await;
        assert_eq!(refused.error(), 400_004, "{}", refused.body);
        assert!(refused.message().contains(wanted), "{}", refused.message());
    }
    let same = json!({"certificateAuthorityName": "fleet", "certificatePolicyName": "fleet"});
    let put = (Method::PUT, "/enrollments/dev-1", "2026-11-01");
    let written = ask_as(&service, put, &issuing(&same)).await;
    assert_eq!(members(&written.body), same);
}

/// A webhook sees the enrollment in the members of its own version.
#[tokio::test]
async fn a_webhook_gets_the_members_of_its_version() {
    let service = with_issuers(&["fleet"]).await;
    service.run();
    for (version, wanted) in [
        ("2021-10-01", json!({"credentialPolicyName": "fleet"})),
        (
            "2026-11-01",
            json!({"certificateAuthorityName": "fleet", "namespaceName": "plant"}),
        ),
    ] {
        let leaf = self_signed("d");
        let mut enrollment = individual("d", &leaf);
        let custom = json!({
            "allocationPolicy": "custom",
            "customAllocationDefinition":
                {"webhookUrl": "https://functions.example/", "apiVersion": version},
            "certificateAuthorityName": "fleet",
            "namespaceName": "plant",
        });
        let custom = custom.as_object().unwrap().clone();
        enrollment.as_object_mut().unwrap().extend(custom);
        service.create("/enrollments/d", &enrollment).await;
        service
            .webhook
            .will_answer(200, &json!({"iotHubHostName": "hub.test"}));
        service.provision_pending("d", &chain(&[&leaf])).await;
        let (_, asked) = service.webhook.question();
        assert_eq!(members(&asked["individualEnrollment"]), wanted, "{asked}");
        let path = "/enrollments/d";
        let gone = service.operate(Method::DELETE, path, &[], None).await;
        assert_eq!(gone.status, 204);
    }
}

#[tokio::test]
async fn a_device_of_a_newer_version_registers_and_is_answered_nothing_that_it_may_not_know() {
    let service = Service::start().await;
    let body = symmetric("registrationId", "dev-1", &json!({}));
    let created = service.create("/enrollments/dev-1", &body).await;
    let key = key(&created.body["attestation"]["symmetricKey"]["primaryKey"]);
    let leaf = self_signed("edge-001");
    service
        .create("/enrollments/edge-001", &individual("edge-001", &leaf))
        .await;
    for version in NEWER {
        let token = service.token("dev-1", &key, service.soon());
        let path = format!("/{}/registrations/dev-1", service.id_scope());
        let request = |method, path: String, body: &'static str| {
            Request::builder()
                .method(method)
                .uri(format!("{path}?api-version={version}"))
                .header("authorization", token.clone())
                .body(Body::from(body))
                .unwrap()
        };
        let register = request(Method::PUT, format!("{path}/register"), "{}");
        let accepted = service.send(register).await;
        assert_eq!(accepted.status, 202, "{version}: {}", accepted.body);
        let operation = accepted.body["operationId"].as_str().unwrap();
        let poll = request(Method::GET, format!("{path}/operations/{operation}"), "");
        let over_http = service.send(poll).await.body;

        let mut hello = connect(&service, "edge-001");
        let username = hello.username.unwrap().replace("2019-03-31", version);
        assert!(username.contains(version));
        hello.username = Some(username);
        let presented = pki::PeerChain::of(chain(&[&leaf]));
        let mut session = service.dps.mqtt(&hello, presented).unwrap();
        let (topic, accepted) = ask(&mut session, REGISTER, "{}").await;
        assert_eq!(topic.status, 202, "{version}: {accepted}");
        let poll = format!(
            "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId={}",
            accepted["operationId"].as_str().unwrap()
        );
        let (_, over_mqtt) = ask(&mut session, &poll, "").await;
        for answer in [over_http, over_mqtt] {
            assert_eq!(answer["status"], "assigned", "{version}: {answer}");
            // Absent means a classic hub; a client fails for good on a profile it does not know.
            let state = answer["registrationState"].as_object().unwrap();
            assert!(!state.contains_key("connectionProfile"), "{answer}");
        }
    }
}
