use std::time::Duration;

use device::{Credential, HubError, HubOptions, RenewalError, Trust, renew_at_hub};
use ids::{DeviceId, Timestamp};
use mqtt::Delivery;
use pki::{Certificate, KeyType, PrivateKey, Profile, Serial, Subject, Validity, prepare};
use serde_json::{Value, json};
use wire::binary::Base64Bytes;

use crate::hub::Peer;
use crate::server::{Listener, TestCa};

const ANSWERS: &str = "$iothub/credentials/res/#";
const REQUEST: &[u8] = b"not looked at here";

fn options(ca: &TestCa, listener: &Listener, trust: Trust) -> HubOptions {
    HubOptions {
        hub: listener.host(),
        gateway: None,
        device: DeviceId::parse("press-7").unwrap(),
        module: None,
        credential: Credential::Certificate(ca.identity("press-7")),
        trust,
        keep_alive: 60,
        client_type: "test".to_owned(),
    }
}

fn certificate() -> Certificate {
    let key = PrivateKey::generate(KeyType::Ec).unwrap();
    let subject = Subject::common_name("press-7").unwrap();
    let hour = Validity::UpTo(Duration::from_secs(3600));
    let (serial, now) = (
        Serial::random().unwrap(),
        Timestamp::from_unix_seconds(1_780_272_000),
    );
    let prepared = prepare(Profile::EdgeIdentity, &subject, None, hour, serial, now);
    prepared.unwrap().lint().unwrap().sign(&key).unwrap()
}

/// A device that asks a hub, which answers with these statuses and bodies.
async fn ask(answers: Vec<(u16, Value)>) -> (Value, Result<Vec<Certificate>, RenewalError>) {
    let ca = TestCa::new();
    let listener = Listener::bind(&ca).await;
    let options = options(&ca, &listener, ca.trust());
    let hub = async {
        let mut peer = Peer::accept(&listener).await;
        let connect = peer.greet_for(&[ANSWERS]).await;
        assert_eq!(connect.client_id, "press-7");
        let asked = peer.publish().await;
        assert!(matches!(asked.delivery, Delivery::AtLeastOnce { .. }));
        let rid = asked.topic.split_once("?$rid=").unwrap().1.to_owned();
        // Of another request.
        peer.say("$iothub/credentials/res/200/?$rid=other", "{}")
            .await;
        for (status, body) in answers {
            let topic = format!("$iothub/credentials/res/{status}/?$rid={rid}");
            peer.say(topic, body.to_string()).await;
        }
        let body: Value = serde_json::from_slice(&asked.payload).unwrap();
        // The device reads, and says goodbye.
        while peer.receive().await.is_some() {}
        body
    };
    tokio::join!(hub, renew_at_hub(&options, REQUEST))
}

fn accepted() -> (u16, Value) {
    let body = json!({"correlationId": "c", "operationExpires": "2026-11-30T02:00:00Z"});
    (202, body)
}

#[tokio::test]
async fn a_device_gets_another_certificate_after_it_was_accepted() {
    let leaf = certificate();
    let der: Base64Bytes = leaf.der().to_vec().into();
    let issued = json!({"correlationId": "c", "certificates": [String::from(der)]});
    let (asked, chain) = ask(vec![accepted(), (200, issued)]).await;
    assert_eq!(chain.unwrap(), [leaf]);
    assert_eq!(asked["id"], "press-7");
    assert_eq!(asked["replace"], "*");
    assert_eq!(
        asked["csr"],
        String::from(Base64Bytes::from(REQUEST.to_vec()))
    );
}

#[tokio::test]
async fn a_hub_that_gives_none_says_why() {
    let refusal = |code: u32, more: Value| {
        let mut body = json!({
            "errorCode": code,
            "trackingId": "t-1",
            "message": "no",
            "timestampUtc": "2026-11-30T02:00:00Z",
        });
        if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
            body.extend(more.clone());
        }
        body
    };
    let busy = refusal(429_001, json!({"retryAfter": 7}));
    let (_, busy) = ask(vec![(429, busy)]).await;
    let busy = busy.unwrap_err();
    assert_eq!(busy.retry_after(), Some(Duration::from_secs(7)));
    assert!(!busy.is_not_entitled());
    let not_entitled = wire::error::HubErrorCode::CredentialManagementPreconditionFailed.code();
    let (_, refused) = ask(vec![(412, refusal(not_entitled, json!({})))]).await;
    assert!(refused.unwrap_err().is_not_entitled());
    for body in [json!({}), json!({"correlationId": "c", "certificates": []})] {
        let (_, empty) = ask(vec![accepted(), (200, body)]).await;
        assert!(matches!(empty, Err(RenewalError::Answer(_))), "{empty:?}");
    }
}

#[tokio::test]
async fn a_hub_that_is_not_trusted_is_not_asked() {
    let (ca, other) = (TestCa::new(), TestCa::named("other"));
    let listener = Listener::bind(&ca).await;
    let options = options(&ca, &listener, other.trust());
    let (_, refused) = tokio::join!(
        async {
            tokio::time::timeout(Duration::from_secs(2), listener.accept())
                .await
                .is_err()
        },
        renew_at_hub(&options, REQUEST)
    );
    assert!(matches!(
        refused,
        Err(RenewalError::Hub(HubError::Connect(_)))
    ));
}
