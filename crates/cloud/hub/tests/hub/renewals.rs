//! Devices ask for another certificate over their session.

use hub::{CertificateRefused, DeviceLimits, HubLimits};
use pki::PresentedChain;
use serde_json::{Value, json};
use wire::binary::Base64Bytes;

use crate::world::{Device, World, connect, eventually, self_signed};

const FILTER: &str = "$iothub/credentials/res/#";

fn topic(rid: &str) -> String {
    format!("$iothub/credentials/POST/issueCertificate/?$rid={rid}")
}

fn answer_topic(status: u16, rid: &str) -> String {
    format!("$iothub/credentials/res/{status}/?$rid={rid}")
}

fn base64(bytes: &str) -> String {
    Base64Bytes::from(bytes.as_bytes().to_vec()).into()
}

fn body(csr: &str) -> Vec<u8> {
    json!({"id": "d1", "csr": base64(csr)})
        .to_string()
        .into_bytes()
}

/// A device with a certificate.
async fn enrolled(world: &World) -> PresentedChain {
    let chain = self_signed("d1", 2040);
    let thumbprint = chain.leaf().sha256().to_string();
    let x509 = json!({"primaryThumbprint": thumbprint, "secondaryThumbprint": thumbprint});
    let authentication = json!({"type": "selfSigned", "x509Thumbprint": x509});
    let device = json!({"deviceId": "d1", "authentication": authentication});
    world.put("/devices/d1", &device).await;
    chain
}

async fn connected(world: &World, chain: &PresentedChain) -> Device {
    world.open(&connect("d1", None), Some(chain)).await.unwrap()
}

async fn subscribed(world: &World, chain: &PresentedChain) -> Device {
    let mut device = connected(world, chain).await;
    device.subscribe(FILTER).await;
    device
}

#[tokio::test]
async fn a_device_is_answered_202_and_then_with_its_certificate() {
    let world = World::start().await;
    let chain = enrolled(&world).await;
    let mut device = subscribed(&world, &chain).await;
    let (topic, accepted) = device.request(&topic("req-1"), &body("first")).await;
    assert_eq!(topic, answer_topic(202, "req-1"));
    assert!(accepted["operationExpires"].is_string(), "{accepted}");

    world.issuer.issue_one();
    let (topic, issued) = device.pushed().await.unwrap();
    assert_eq!(topic, answer_topic(200, "req-1"));
    assert_eq!(issued["correlationId"], accepted["correlationId"]);
    let certificates = [base64("first"), base64("issuer")];
    assert_eq!(issued["certificates"], json!(certificates));
    let asked = world.issuer.asked();
    assert_eq!(asked[0].presented.leaf, chain.leaf().sha256());
    assert_eq!(asked[0].device.device.as_str(), "d1");

    // The next one is a request of its own.
    let (topic, _) = device.request(&self::topic("req-2"), &body("second")).await;
    assert_eq!(topic, answer_topic(202, "req-2"));
    world.issuer.issue_one();
    let (topic, _) = device.pushed().await.unwrap();
    assert_eq!(topic, answer_topic(200, "req-2"));
}

#[tokio::test]
async fn one_request_of_a_device_is_pending_unless_another_replaces_it() {
    let world = World::start().await;
    let chain = enrolled(&world).await;
    let mut device = subscribed(&world, &chain).await;
    device.request(&topic("req-1"), &body("first")).await;
    let (answer, conflict) = device.request(&topic("req-2"), &body("second")).await;
    assert_eq!(answer, answer_topic(409, "req-2"));
    assert_eq!(conflict["errorCode"], 409_004);
    assert_eq!(conflict["info"]["requestId"], "req-1");
    assert!(conflict["info"]["operationExpires"].is_string());

    let replacing = |csr: &str, replace: &str| {
        let csr = base64(csr);
        json!({"id": "d1", "csr": csr, "replace": replace}).to_string()
    };
    let absent = replacing("x", "req-9");
    let (answer, error) = device.request(&topic("req-3"), absent.as_bytes()).await;
    assert_eq!(answer, answer_topic(412, "req-3"));
    assert_eq!(error["errorCode"], 412_001);
    assert_eq!(error["info"]["requestId"], "req-9");

    for (rid, replace) in [("req-4", "req-1"), ("req-5", "*")] {
        let request = replacing(rid, replace);
        let (answer, _) = device.request(&topic(rid), request.as_bytes()).await;
        assert_eq!(answer, answer_topic(202, rid));
    }
    world.issuer.issue_one();
    let (answer, issued) = device.pushed().await.unwrap();
    assert_eq!(answer, answer_topic(200, "req-5"));
    assert_eq!(issued["certificates"][0], base64("req-5"));
    // `*` also when none is pending.
    let request = replacing("last", "*");
    let (answer, _) = device.request(&topic("req-6"), request.as_bytes()).await;
    assert_eq!(answer, answer_topic(202, "req-6"));
}

#[tokio::test]
async fn a_device_that_went_away_gets_the_answer_when_it_subscribes_again() {
    let world = World::start().await;
    let chain = enrolled(&world).await;
    let mut device = subscribed(&world, &chain).await;
    device.request(&topic("req-1"), &body("first")).await;
    device.unsubscribe(FILTER).await;
    world.issuer.issue_one();
    device.end(None).await;
    let mut device = subscribed(&world, &chain).await;
    let (answer, _) = device.pushed().await.unwrap();
    assert_eq!(answer, answer_topic(200, "req-1"));

    // It is sent once.
    device.end(None).await;
    let mut device = subscribed(&world, &chain).await;
    let (answer, _) = device.request(&topic("req-2"), &body("second")).await;
    assert_eq!(answer, answer_topic(202, "req-2"));
}

#[tokio::test]
async fn a_client_that_does_not_subscribe_hears_nothing() {
    let world = World::start().await;
    let chain = enrolled(&world).await;
    let mut device = connected(&world, &chain).await;
    let replies = device.publish(&topic("req-1"), &body("first")).await;
    assert_eq!(replies.unwrap(), []);
    eventually(async || (world.issuer.asked().len() == 1).then_some(())).await;
    world.issuer.issue_one();
    device.subscribe(FILTER).await;
    let (answer, _) = device.pushed().await.unwrap();
    assert_eq!(answer, answer_topic(200, "req-1"));
}

#[tokio::test]
async fn refusals_carry_the_codes_of_the_service() {
    let world = World::start().await;
    let chain = enrolled(&world).await;
    let mut device = subscribed(&world, &chain).await;
    for (payload, code) in [
        ("", 400_004),
        ("{", 400_006),
        (r#"{"id":"other","csr":"MAA="}"#, 400_004),
        (
            r#"{"id":"d1","csr":"MAA=","unknownField":"value"}"#,
            400_004,
        ),
    ] {
        let (answer, error) = device.request(&topic("req-1"), payload.as_bytes()).await;
        assert_eq!(answer, answer_topic(400, "req-1"));
        assert_eq!(error["errorCode"], code, "{error}");
    }
    for (refusal, status, code) in [
        (
            CertificateRefused::NotEntitled("no issuer".into()),
            412,
            412_005,
        ),
        (CertificateRefused::Request("the key".into()), 400, 400_040),
        (CertificateRefused::Failed("the disk".into()), 500, 500_001),
    ] {
        let text = refusal.to_string();
        world.issuer.refuse(refusal);
        world.issuer.issue_one();
        let (_, accepted) = device.request(&topic("req-2"), &body("x")).await;
        let (answer, error) = device.pushed().await.unwrap();
        assert_eq!(answer, answer_topic(status, "req-2"));
        assert_eq!(error["errorCode"], code, "{error}");
        let info = &error["info"];
        assert_eq!(info["correlationId"], accepted["correlationId"]);
        if status != 500 {
            assert_eq!(info["credentialMessage"], Value::from(text));
        } else {
            assert!(!error.to_string().contains("disk"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_token_gets_no_certificate() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    let mut device = world.device("d1", &key).await;
    device.subscribe(FILTER).await;
    let (answer, error) = device.request(&topic("req-1"), &body("first")).await;
    assert_eq!(answer, answer_topic(412, "req-1"));
    assert_eq!(error["errorCode"], 412_005);
    assert!(world.issuer.asked().is_empty());
}

#[tokio::test]
async fn a_device_that_asks_too_often_is_told_when_to_ask_again() {
    let device_limits = DeviceLimits {
        certificate_requests_per_minute: 1,
        ..DeviceLimits::default()
    };
    let world = World::with_limits(HubLimits::default(), device_limits).await;
    let chain = enrolled(&world).await;
    let mut device = subscribed(&world, &chain).await;
    device.request(&topic("req-1"), &body("first")).await;
    let (answer, error) = device.request(&topic("req-2"), &body("second")).await;
    assert_eq!(answer, answer_topic(429, "req-2"));
    assert_eq!(error["errorCode"], 429_002);
    assert_eq!(error["retryAfter"], 60);
}
