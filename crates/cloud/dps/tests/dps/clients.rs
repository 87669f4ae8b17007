//! What one client or another does differently from the rest, and must be understood all the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::{Body, Bytes};
use axum::http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use rest::OnProof;
use serde_json::{Value, json};

use crate::harness::hierarchy::{chain, self_signed};
use crate::harness::{Answer, HOST, Service, individual};

/// Every api-version that a client was seen to send, or that a specification of these calls has.
/// The last three are of specifications that no client has sent yet, and of none.
const VERSIONS: [&str; 14] = [
    "2017-11-15",
    "2018-09-01-preview",
    "2018-11-01",
    "2019-03-31",
    "2021-06-01",
    "2021-10-01",
    "2021-11-01-preview",
    "2023-02-01-preview",
    "2025-07-01-preview",
    "2025-08-01-preview",
    "2026-11-01",
    "2026-11-02-preview",
    "2031-05-01",
    "latest",
];

async fn operate(service: &Service, method: Method, uri: &str, body: Body) -> Answer {
    let request = Request::builder().method(method).uri(uri);
    let request = request.header("authorization", service.owner());
    service.send(request.body(body).unwrap()).await
}

fn keyed(id: &str) -> Value {
    json!({"registrationId": id, "attestation": {"type": "symmetricKey"}})
}

#[tokio::test]
async fn every_call_in_every_version() {
    let service = Service::start().await;
    let leaf = self_signed("edge-001");
    service
        .create("/enrollments/edge-001", &individual("edge-001", &leaf))
        .await;
    let group = json!({"enrollmentGroupId": "g", "attestation": {"type": "symmetricKey"}});
    service.create("/enrollmentGroups/g", &group).await;
    service.provision("edge-001", &chain(&[&leaf])).await;
    let everything = json!({"query": "*"}).to_string();
    let nobody =
        json!({"mode": "delete", "enrollments": [{"registrationId": "nobody"}]}).to_string();
    for version in VERSIONS {
        for (method, path, body) in [
            (Method::GET, "/enrollments/edge-001", ""),
            (Method::GET, "/enrollmentGroups/g", ""),
            (Method::GET, "/registrations/edge-001", ""),
            (Method::POST, "/enrollments/query", &everything),
            (Method::POST, "/enrollmentGroups/query", &everything),
            (Method::POST, "/registrations/g/query", &everything),
            (
                Method::POST,
                "/enrollments/edge-001/attestationmechanism",
                "",
            ),
            // Node writes the group's path so, and ends that of bulk operations with a slash.
            (Method::POST, "/enrollmentgroups/g/attestationmechanism", ""),
            (Method::POST, "/enrollments/", &nobody),
        ] {
            let uri = format!("{path}?api-version={version}");
            let answer = operate(&service, method, &uri, Body::from(body.to_owned())).await;
            assert_eq!(answer.status, StatusCode::OK, "{uri}: {}", answer.body);
        }
    }
}

/// The Node clients send a body with what has none: `{}` with a read, `null` with a deletion.
#[tokio::test]
async fn bodies_where_none_belong_are_not_looked_at() {
    let service = Service::start().await;
    service.create("/enrollments/sym-1", &keyed("sym-1")).await;
    let uri = "/enrollments/sym-1?api-version=2021-10-01";
    for body in ["{}", "null", "not JSON"] {
        let read = operate(&service, Method::GET, uri, Body::from(body)).await;
        assert_eq!(read.status, StatusCode::OK, "{}", read.body);
    }
    let gone = operate(&service, Method::DELETE, uri, Body::from("null")).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.body);
}

#[tokio::test]
async fn keys_that_nobody_chose_in_every_spelling() {
    let service = Service::start().await;
    for (id, attestation) in [
        ("absent", json!({"type": "symmetricKey"})),
        (
            "null",
            json!({"type": "symmetricKey", "symmetricKey": null}),
        ),
        ("empty", json!({"type": "symmetricKey", "symmetricKey": {}})),
        (
            "texts",
            json!({"type": "symmetricKey", "symmetricKey": {"primaryKey": "", "secondaryKey": ""}}),
        ),
        (
            "nulls",
            json!({"type": "symmetricKey", "symmetricKey": {"primaryKey": null, "secondaryKey": null}}),
        ),
    ] {
        let body = json!({"registrationId": id, "attestation": attestation});
        let created = service.create(&format!("/enrollments/{id}"), &body).await;
        let keys = &created.body["attestation"]["symmetricKey"];
        assert_eq!(keys["primaryKey"].as_str().unwrap().len(), 88, "{id}");
        assert_ne!(keys["primaryKey"], keys["secondaryKey"], "{id}");
    }
}

/// Node puts the policy before the expiry, and Python leaves the slashes of
/// a signature as they are.
#[tokio::test]
async fn operators_tokens_in_the_spellings_of_node_and_python() {
    let service = Service::start().await;
    let policy = service.provisioning.service().policies[0].clone();
    let key = wire::sas::SharedAccessKey::try_from(&policy.primary).unwrap();
    let name = &policy.name;
    let mut slashes = 0;
    // One signature in two has no slash; a few dozen expiries have some that do.
    for later in 0..32 {
        let expiry = service.now().unix_seconds() + 3600 + later;
        let digest = key.sign(format!("{HOST}\n{expiry}").as_bytes());
        let signature = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, digest);
        slashes += signature.matches('/').count();
        let signature = signature.replace('+', "%2B").replace('=', "%3D");
        for token in [
            format!("SharedAccessSignature sr={HOST}&sig={signature}&skn={name}&se={expiry}"),
            format!("SharedAccessSignature sr={HOST}&sig={signature}&se={expiry}&skn={name}"),
        ] {
            let request = Request::get("/enrollments/none?api-version=2021-10-01")
                .header("authorization", &token);
            let answer = service.send(request.body(Body::empty()).unwrap()).await;
            assert_eq!(answer.error(), 404_201, "{token}");
        }
    }
    assert!(slashes > 0, "no signature had a slash");
}

/// Python says `"payload": null` when it has none, C# says nothing at all.
#[tokio::test]
async fn register_with_and_without_a_payload() {
    let service = Service::start().await;
    let leaf = self_signed("edge-001");
    service
        .create("/enrollments/edge-001", &individual("edge-001", &leaf))
        .await;
    let path = format!("/{}/registrations/edge-001/register", service.id_scope());
    for body in [
        "",
        "{}",
        r#"{"payload": null, "registrationId": "edge-001"}"#,
        r#"{"registrationId":"edge-001","payload":{"modelId":"dtmi:ex:thing;1","rack":7}}"#,
        r#"{"registrationId":"EDGE-001","payload":[1,"two",null]}"#,
    ] {
        let presented = Some(chain(&[&leaf]));
        let answer = service
            .device(Method::PUT, &path, presented, Body::from(body))
            .await;
        assert_eq!(
            answer.status,
            StatusCode::ACCEPTED,
            "{body}: {}",
            answer.body
        );
        assert_eq!(
            answer.body["registrationState"]["registrationId"],
            "edge-001"
        );
    }
}

/// What an operator sends counts as a stranger's only until its token was read, and that
/// is before the body is.
#[tokio::test]
async fn an_operator_has_proved_itself_before_its_body_is_read() {
    let service = Service::start().await;
    let body = keyed("edge-001").to_string();
    for (authorization, status) in [
        (service.owner(), StatusCode::OK),
        (
            "SharedAccessSignature sr=x&sig=eA%3D&se=1".to_owned(),
            StatusCode::UNAUTHORIZED,
        ),
    ] {
        let proofs = Arc::new(AtomicUsize::new(0));
        let (counter, seen, body) = (proofs.clone(), proofs.clone(), body.clone());
        let sent = Full::new(Bytes::from(body)).map_frame(move |frame| {
            assert_eq!(
                seen.load(Ordering::Relaxed),
                1,
                "the body was read before the token"
            );
            frame
        });
        let mut request = Request::builder()
            .method(Method::PUT)
            .uri(format!(
                "https://{HOST}/enrollments/edge-001?api-version=2021-10-01"
            ))
            .header("authorization", authorization)
            .body(Body::new(sent))
            .unwrap();
        let count = move || {
            counter.fetch_add(1, Ordering::Relaxed);
        };
        request.extensions_mut().insert(OnProof(Arc::new(count)));
        let answer = service.send(request).await;
        assert_eq!(answer.status, status, "{}", answer.body);
        let proved = usize::from(status == StatusCode::OK);
        assert_eq!(proofs.load(Ordering::Relaxed), proved);
    }
}
