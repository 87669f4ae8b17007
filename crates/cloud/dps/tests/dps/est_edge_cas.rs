//! EST at an issuer of edge CAs, whose clients can sign certificates themselves.

use axum::http::{Method, StatusCode};
use rcgen::KeyPair;
use serde_json::json;

use crate::est_certificates::{enroll, refused, trusting};
use crate::harness::Service;
use crate::harness::est::{EstRequest, csr, csr_of};
use crate::harness::hierarchy::{Ca, chain};

/// An edge CA that the issuer issued.
async fn edge_ca(service: &Service, user: &str, name: &str) -> Ca {
    let key = KeyPair::generate().unwrap();
    let password = service.issuer_user("fleet", user, Some(1), None).await;
    let request = EstRequest::post("/simpleenroll", &csr_of(name, &[], &key));
    let certificate = service.est(request.by(user, &password)).await.certificate();
    Ca::of(certificate, key)
}

#[tokio::test]
async fn what_an_edge_ca_signs_enrolls_nothing() {
    let factory = Ca::root("Factory");
    let service = trusting(&factory, json!({"profile": "edge-ca"})).await;
    let press = edge_ca(&service, "line-1", "aziot-edge CA press-1").await;
    // One of its issuer's name looks as if that had renewed its own certificate.
    let namesake = edge_ca(&service, "line-2", "fleet").await;
    for ca in [&press, &namesake] {
        let forged = ca.leaf("press-2");
        let answer = enroll(&service, "press-2", &[&forged, &ca.certificate]).await;
        assert_eq!(answer.body, "the client certificate is not accepted\n");
        let found = refused(&service, "press-2", answer).await;
        assert_eq!(found, (403, "path_too_deep".to_owned()));
    }
    // A CA that the issuer trusts may have others below it.
    let line = factory.intermediate("Line 1");
    let below = line.leaf("press-3");
    let answer = enroll(&service, "press-3", &[&below, &line.certificate]).await;
    assert!(answer.certificate().is_ca());
}

#[tokio::test]
async fn an_edge_ca_renews_itself_at_its_issuer() {
    let service = Service::start().await;
    service.issuer("fleet", json!({"profile": "edge-ca"})).await;
    let name = "aziot-edge CA press-1";
    let press = edge_ca(&service, "line-1", name).await;
    let with = |path: &str, name: &str| {
        EstRequest::post(path, &csr(name)).with(chain(&[&press.certificate]))
    };
    for path in ["/simpleenroll", "/simplereenroll"] {
        let renewed = service.est(with(path, name)).await.certificate();
        assert!(renewed.is_ca());
        assert_eq!(renewed.subject_common_name(), Some(name));
    }
    let answer = service
        .est(with("/simpleenroll", "aziot-edge CA press-2"))
        .await;
    let found = refused(&service, "aziot-edge-CA-press-2", answer).await;
    assert_eq!(found, (403, "est_name_not_own".to_owned()));
    // What it signed as a CA stays without a say.
    let between = press.intermediate("press-2");
    let answer = enroll(
        &service,
        "press-2",
        &[&between.certificate, &press.certificate],
    )
    .await;
    let found = refused(&service, "press-2", answer).await;
    assert_eq!(found, (403, "path_too_deep".to_owned()));

    service.block(Method::PUT, "press-1").await;
    let answer = service.est(with("/simplereenroll", name)).await;
    assert_eq!(answer.body, "this device may not enroll\n");
}

#[tokio::test]
async fn a_user_gets_no_edge_ca_for_a_blocked_device() {
    let service = Service::start().await;
    service.issuer("fleet", json!({"profile": "edge-ca"})).await;
    let password = service.issuer_user("fleet", "line-1", None, None).await;
    service.block(Method::PUT, "press-7").await;
    for name in [
        "press-7",
        "aziot-edge CA press-7",
        "AZIOT-EDGE ca PRESS-7",
        "press-7.ca",
        "aziot-edge CA press-7.ca",
    ] {
        let request = EstRequest::post("/simpleenroll", &csr(name)).by("line-1", &password);
        let answer = service.est(request).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{name}");
        assert_eq!(answer.body, "this device may not enroll\n", "{name}");
    }
    let other = EstRequest::post("/simpleenroll", &csr("aziot-edge CA press-8"));
    let answer = service.est(other.by("line-1", &password)).await;
    assert!(answer.certificate().is_ca());
}
