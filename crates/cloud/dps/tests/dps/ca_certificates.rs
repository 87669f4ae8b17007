//! CA certificates: uploaded, verified by proof of possession or by the operator's word, deleted.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::harness::ca_certificates::{CERTIFICATES, upload};
use crate::harness::hierarchy::{Ca, EXPIRED, self_signed};
use crate::harness::{HOST, Service};

#[tokio::test]
async fn possession_is_proven_by_a_certificate_named_like_the_code() {
    let service = Service::start().await;
    let root = Ca::root("root");
    let path = format!("{CERTIFICATES}/Factory");
    let created = service
        .create(&path, &upload(&root.certificate, None))
        .await;
    assert_eq!(created.body["name"], "Factory");
    let properties = &created.body["properties"];
    assert_eq!(properties["isVerified"], false);
    assert_eq!(properties["subject"], "CN=root");
    assert_eq!(properties["expiry"], "Sun, 01 Jan 2040 00:00:00 GMT");
    assert_eq!(
        properties["thumbprint"],
        root.certificate.sha1().to_string()
    );
    assert_eq!(
        properties["certificate"],
        STANDARD.encode(root.certificate.der())
    );

    let etag = created.body["etag"].as_str().unwrap();
    let path = format!("{CERTIFICATES}/factory/verificationCode");
    let coded = service
        .operate(Method::POST, &path, &[("if-match", etag)], None)
        .await;
    assert_eq!(coded.status, StatusCode::OK, "{}", coded.body);
    assert_eq!(coded.body["properties"]["isVerified"], false);
    let code = coded.body["properties"]["verificationCode"]
        .as_str()
        .unwrap();
    let stale = service
        .operate(Method::POST, &path, &[("if-match", etag)], None)
        .await;
    assert_eq!(stale.error(), 412_000);
    let read = service.ca_certificate(Method::GET, "factory", None).await;
    assert_eq!(read.body["properties"].get("verificationCode"), None);

    let verify = wire::service_api::ca_certificate::VerifyRequest::body;
    let other = verify(&root.leaf("guess").to_pem());
    let refused = service
        .ca_certificate(Method::POST, "factory/verify", Some(&other))
        .await;
    assert_eq!(refused.error(), 400_004);
    assert!(
        refused.message().contains("\"guess\""),
        "{}",
        refused.message()
    );
    let presented = verify(&root.leaf(code).to_pem());
    let verified = service
        .ca_certificate(Method::POST, "factory/verify", Some(&presented))
        .await;
    assert_eq!(
        verified.body["properties"]["isVerified"], true,
        "{}",
        verified.body
    );
}

#[tokio::test]
async fn proofs_that_prove_nothing_say_why() {
    let service = Service::start().await;
    let root = Ca::root("root");
    let below = root.intermediate("below");
    service.upload("below", &below.certificate, false).await;
    let coded = service
        .ca_certificate(Method::POST, "below/generateVerificationCode", None)
        .await;
    let code = coded.body["properties"]["verificationCode"]
        .as_str()
        .unwrap();
    for (presented, said) in [
        (root.leaf(code), "issued by CN=root, not by CN=below"),
        (Ca::root("below").leaf(code), "another CA of the same name"),
        (below.leaf_valid(code, EXPIRED), "issue another one"),
        (below.certificate.clone(), "send one that it issued"),
    ] {
        let body = wire::service_api::ca_certificate::VerifyRequest::body(&presented.to_pem());
        let refused = service
            .ca_certificate(Method::POST, "below/verify", Some(&body))
            .await;
        assert_eq!(refused.error(), 400_004);
        assert!(refused.message().contains(said), "{}", refused.message());
    }
    service.advance(25 * 3600);
    let late = wire::service_api::ca_certificate::VerifyRequest::body(&below.leaf(code).to_pem());
    let refused = service
        .ca_certificate(Method::POST, "below/verify", Some(&late))
        .await;
    assert!(
        refused.message().contains("expired"),
        "{}",
        refused.message()
    );
}

#[tokio::test]
async fn the_operators_word_is_enough_and_lists_show_it() {
    let service = Service::start().await;
    let (a, b) = (Ca::root("a"), Ca::root("b"));
    service.upload("b", &b.certificate, false).await;
    service.upload("A", &a.certificate, true).await;
    let list = service.operate(Method::GET, CERTIFICATES, &[], None).await;
    let rows = list.body["value"].as_array().unwrap();
    let found: Vec<_> = rows
        .iter()
        .map(|row| (row["name"].clone(), row["properties"]["isVerified"].clone()))
        .collect();
    assert_eq!(
        found,
        [(json!("A"), json!(true)), (json!("b"), json!(false))]
    );
    let deleted = service.ca_certificate(Method::DELETE, "a", None).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    let gone = service.ca_certificate(Method::GET, "a", None).await;
    assert_eq!(gone.error(), 404_211);
}

#[tokio::test]
async fn certificates_that_could_never_vouch_are_refused_with_the_reason() {
    let service = Service::start().await;
    let root = Ca::root("root");
    service.upload("root", &root.certificate, true).await;
    let old = root.intermediate_valid("old", EXPIRED);
    let two = format!("{}{}", root.certificate.to_pem(), old.certificate.to_pem());
    for (name, body, code, said) in [
        (
            "leaf",
            upload(&self_signed("leaf"), None),
            400_004,
            "is not a CA certificate",
        ),
        (
            "old",
            upload(&old.certificate, None),
            400_004,
            "expired at 2025-01-01",
        ),
        (
            "two",
            json!({ "certificate": two }),
            400_004,
            "2 certificates",
        ),
        ("none", json!({}), 400_004, "'certificate': is missing"),
        (
            "a%20b",
            upload(&root.certificate, None),
            400_004,
            "contains ' '",
        ),
        (
            "again",
            upload(&root.certificate, None),
            409_211,
            "was uploaded as root already",
        ),
        (
            "root",
            upload(&root.certificate, None),
            409_211,
            "exists already",
        ),
    ] {
        let path = format!("{CERTIFICATES}/{name}");
        let refused = service.operate(Method::PUT, &path, &[], Some(&body)).await;
        assert_eq!(refused.error(), code, "{name}");
        assert!(
            refused.message().contains(said),
            "{name}: {}",
            refused.message()
        );
    }
}

#[tokio::test]
async fn nobody_without_a_token_sees_or_changes_them() {
    let service = Service::start().await;
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let request = Request::builder()
            .method(method)
            .uri(format!(
                "https://{HOST}{CERTIFICATES}/root?api-version=2022-12-12"
            ))
            .body(Body::empty())
            .unwrap();
        assert_eq!(service.send(request).await.error(), 401_000);
    }
}
