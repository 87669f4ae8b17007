//! Everything that keeps a device out looks the same to the
//! device: 401002, "Unauthorized", nothing else.

use axum::body::Body;
use axum::http::Method;
use pki::{Certificate, PresentedChain};
use serde_json::json;

use crate::harness::hierarchy::{Ca, EXPIRED, NOT_YET, chain, self_signed, self_signed_valid};
use crate::harness::{Answer, Service, group, individual};

/// A refusal with what differs between any two of them taken out.
fn terse(answer: &Answer) -> serde_json::Value {
    assert_eq!(answer.error(), 401_002);
    let mut body = answer.body.clone();
    body["trackingId"] = json!("");
    body["timestampUtc"] = json!("");
    body
}

type RefusedAttempt = (&'static str, &'static str, PresentedChain);

/// Each attempt: the reason of its refusal, the registration ID, and the chain.
fn refused_by_enrollment(below: &Ca, root: &Ca, stopped: &Certificate) -> Vec<RefusedAttempt> {
    let (r, b) = (&root.certificate, &below.certificate);
    vec![
        ("no enrollment", "nobody", chain(&[&self_signed("nobody")])),
        (
            "another name",
            "device-1",
            chain(&[&below.leaf("device-2"), b, r]),
        ),
        ("a disabled enrollment", "stopped", chain(&[stopped])),
        (
            "a disabled enrollment, another leaf",
            "stopped",
            chain(&[&self_signed("stopped")]),
        ),
        (
            "another leaf than the pinned one",
            "pinned",
            chain(&[&self_signed("pinned")]),
        ),
    ]
}

fn refused_by_chain(below: &Ca, root: &Ca) -> Vec<RefusedAttempt> {
    let expired = root.intermediate_valid("expired", EXPIRED);
    let impostor = Ca::root("root");
    let (r, b, e) = (&root.certificate, &below.certificate, &expired.certificate);
    vec![
        (
            "an expired leaf",
            "device-1",
            chain(&[&below.leaf_valid("device-1", EXPIRED), b, r]),
        ),
        (
            "a leaf of the future",
            "device-1",
            chain(&[&below.leaf_valid("device-1", NOT_YET), b, r]),
        ),
        (
            "a CA as leaf",
            "device-1",
            chain(&[&root.intermediate("device-1").certificate, r]),
        ),
        (
            "an expired intermediate",
            "device-1",
            chain(&[&expired.leaf("device-1"), e, r]),
        ),
        (
            "a missing intermediate",
            "device-1",
            chain(&[&below.leaf("device-1"), r]),
        ),
        (
            "a CA of the same name",
            "device-1",
            chain(&[&impostor.leaf("device-1"), r]),
        ),
        (
            "the impostor's own root",
            "device-1",
            chain(&[&impostor.leaf("device-1"), &impostor.certificate]),
        ),
    ]
}

#[tokio::test]
async fn every_refusal_says_the_same() {
    let service = Service::start().await;
    let root = Ca::root("root");
    let below = root.intermediate("below");
    service
        .create("/enrollmentGroups/all", &group("all", &root.certificate))
        .await;
    let pinned = self_signed("pinned");
    service
        .create("/enrollments/pinned", &individual("pinned", &pinned))
        .await;
    let stopped = self_signed("stopped");
    let mut disabled = individual("stopped", &stopped);
    disabled["provisioningStatus"] = json!("disabled");
    service.create("/enrollments/stopped", &disabled).await;

    let by_enrollment = refused_by_enrollment(&below, &root, &stopped);
    let attempts = by_enrollment
        .into_iter()
        .chain(refused_by_chain(&below, &root));
    for (why, id, presented) in attempts {
        let answer = service.register(id, &presented).await;
        let expected = json!({"errorCode": 401_002, "trackingId": "", "message": "Unauthorized", "timestampUtc": ""});
        assert_eq!(terse(&answer), expected, "{why}");
    }
}

#[tokio::test]
async fn without_a_certificate_or_under_another_scope_nobody_gets_in() {
    let service = Service::start().await;
    let leaf = self_signed("edge-001");
    service
        .create("/enrollments/edge-001", &individual("edge-001", &leaf))
        .await;
    let path = format!("/{}/registrations/edge-001/register", service.id_scope());
    let bare = service
        .device(Method::PUT, &path, None, Body::empty())
        .await;
    let path = "/0neOTHER/registrations/edge-001/register";
    let remote = service
        .device(Method::PUT, path, Some(chain(&[&leaf])), Body::empty())
        .await;
    assert_eq!(terse(&bare), terse(&remote));
}

#[tokio::test]
async fn an_individual_certificate_that_expires_after_its_enrollment_stops_working() {
    let service = Service::start().await;
    let leaf = self_signed_valid("edge-001", (2020, 2027));
    service
        .create("/enrollments/edge-001", &individual("edge-001", &leaf))
        .await;
    let presented = chain(&[&leaf]);
    assert_eq!(
        service.provision("edge-001", &presented).await["status"],
        "assigned"
    );
    service.advance(365 * 24 * 3600);
    assert_eq!(
        service.register("edge-001", &presented).await.error(),
        401_002
    );
}

#[tokio::test]
async fn a_disabled_and_deleted_group_stop_its_devices_at_once() {
    let service = Service::start().await;
    let root = Ca::root("root");
    let mut body = group("all", &root.certificate);
    let created = service.create("/enrollmentGroups/all", &body).await;
    let leaf = root.leaf("device-1");
    let presented = chain(&[&leaf, &root.certificate]);
    service.provision("device-1", &presented).await;
    body["provisioningStatus"] = json!("disabled");
    let etag = created.body["etag"].as_str().unwrap();
    let path = "/enrollmentGroups/all";
    let updated = service
        .operate(Method::PUT, path, &[("if-match", etag)], Some(&body))
        .await;
    assert_eq!(
        updated.body["provisioningStatus"], "disabled",
        "{}",
        updated.body
    );
    assert_eq!(
        service.register("device-1", &presented).await.error(),
        401_002
    );
    service.operate(Method::DELETE, path, &[], None).await;
    assert_eq!(
        service.register("device-1", &presented).await.error(),
        401_002
    );
}
