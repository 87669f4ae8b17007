//! What real clients send in odd ways is understood; what nobody should send
//! is refused with a reason.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use pki::PeerChain;
use serde_json::json;

use crate::harness::hierarchy::{chain, self_signed};
use crate::harness::{HOST, Service, individual};

#[tokio::test]
async fn paths_in_any_case_encoded_and_with_a_slash_at_the_end() {
    let service = Service::start().await;
    let leaf = self_signed("edge:001");
    service
        .create("/Enrollments/edge%3A001/", &individual("edge:001", &leaf))
        .await;
    let presented = Some(chain(&[&leaf]));
    let scope = service.id_scope().to_lowercase();
    for path in [
        format!("/{scope}/registrations/edge%3a001/register"),
        format!("/{scope}/REGISTRATIONS/edge:001/Register/"),
    ] {
        let answer = service
            .device(Method::PUT, &path, presented.clone(), Body::empty())
            .await;
        assert_eq!(
            answer.status,
            StatusCode::ACCEPTED,
            "{path}: {}",
            answer.body
        );
    }
    let read = service
        .operate(Method::GET, "/enrollments/EDGE%3a001", &[], None)
        .await;
    assert_eq!(read.body["registrationId"], "edge:001");
}

#[tokio::test]
async fn force_registration_and_unknown_versions_change_nothing() {
    let service = Service::start().await;
    let leaf = self_signed("edge-001");
    service
        .create("/enrollments/edge-001", &individual("edge-001", &leaf))
        .await;
    for query in [
        "api-version=2019-03-31&forceRegistration=true",
        "API-Version=2031-01-01-preview",
    ] {
        let uri = format!(
            "/{}/registrations/edge-001/register?{query}",
            service.id_scope()
        );
        let mut request = Request::put(uri).body(Body::from("{}")).unwrap();
        let presented = std::sync::Arc::new(chain(&[&leaf]));
        request.extensions_mut().insert(PeerChain::of(presented));
        assert_eq!(service.send(request).await.status, StatusCode::ACCEPTED);
    }
}

#[tokio::test]
async fn a_request_that_is_wrong_in_itself_says_what_is_wrong() {
    let service = Service::start().await;
    let presented = Some(chain(&[&self_signed("edge-001")]));
    let path = format!("/{}/registrations/edge-001/register", service.id_scope());
    let other = format!("/{}/registrations/a%20b/register", service.id_scope());
    let big = json!({"payload": "x".repeat(100_000)}).to_string();
    for (path, body, code, wanted) in [
        (
            &path,
            "{\"registrationId\":".to_owned(),
            400_004,
            "line 1 column 18",
        ),
        (
            &path,
            "[]".to_owned(),
            400_004,
            "a JSON object was expected",
        ),
        (
            &path,
            "{\"registrationId\":\"edge-002\"}".to_owned(),
            400_004,
            "edge-002 is not the registration id",
        ),
        (&path, big, 413_000, "98304"),
        (&other, String::new(), 400_004, "contains ' '"),
    ] {
        let answer = service
            .device(Method::PUT, path, presented.clone(), Body::from(body))
            .await;
        assert_eq!(answer.error(), code);
        assert!(answer.message().contains(wanted), "{}", answer.message());
    }
}

#[tokio::test]
async fn unknown_paths_methods_and_a_missing_version() {
    let service = Service::start().await;
    for (method, uri, code) in [
        (Method::GET, "/nothing?api-version=2021-10-01", 404_000),
        (
            Method::PATCH,
            "/enrollments/e?api-version=2021-10-01",
            405_000,
        ),
        (Method::GET, "/enrollments/e", 400_004),
        (
            Method::GET,
            "/enrollments/%ff?api-version=2021-10-01",
            400_004,
        ),
    ] {
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .body(Body::empty())
            .unwrap();
        assert_eq!(service.send(request).await.error(), code, "{uri}");
    }
}

#[tokio::test]
async fn operators_need_a_token_for_this_host_that_has_not_expired() {
    let service = Service::start().await;
    let policy = service.provisioning.service().policies[0].clone();
    let key = wire::sas::SharedAccessKey::try_from(&policy.primary).unwrap();
    let soon = service.now().plus(std::time::Duration::from_secs(60));
    let long_ago = service.now().minus(std::time::Duration::from_secs(3600));
    let token = |host: &str, name: &str, expiry| wire::sas::build(host, Some(name), expiry, &key);
    for (token, status) in [
        (token(HOST, &policy.name, soon), 200),
        (token("DPS.test:8443", &policy.name, soon), 200),
        (token(HOST, &policy.name, long_ago), 401),
        (token("hub.test", &policy.name, soon), 401),
        (token(HOST, "nobody", soon), 401),
        ("SharedAccessSignature".to_owned(), 401),
        ("Bearer abc".to_owned(), 401),
    ] {
        let request = Request::post("/enrollments/query?api-version=2021-10-01")
            .header("authorization", &token)
            .body(Body::from("{\"query\":\"*\"}"))
            .unwrap();
        assert_eq!(
            service.send(request).await.status.as_u16(),
            status,
            "{token}"
        );
    }
    let bare = Request::post("/enrollments/query?api-version=2021-10-01")
        .body(Body::empty())
        .unwrap();
    assert_eq!(service.send(bare).await.error(), 401_000);
}

#[test]
fn the_service_knows_its_paths() {
    for path in [
        "/enrollments",
        "/EnrollmentGroups/g/",
        "/registrations/r",
        "/0ne1/registrations/r/register",
    ] {
        assert!(dps::Dps::serves(path), "{path}");
    }
    for path in [
        "/",
        "/devices/d",
        "/devices/registrations/modules",
        "/twins/registrations/methods",
        "/healthz",
    ] {
        assert!(!dps::Dps::serves(path), "{path}");
    }
}
