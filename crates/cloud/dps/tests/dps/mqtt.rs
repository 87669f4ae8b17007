//! The same service behind MQTT topics.

use ::mqtt::{Connect, ConnectReturnCode, Delivery, Publish, QoS, SubscribeResult, Will};
use bytes::Bytes;
use pki::PeerChain;
use serde_json::json;
use transport::DeviceSession;

use crate::harness::hierarchy::{chain, self_signed};
use crate::harness::mqtt::{REGISTER, ask, connect, session};
use crate::harness::{Service, individual};

#[tokio::test]
async fn a_device_registers_and_polls() {
    let service = Service::start().await;
    let leaf = self_signed("edge-001");
    service
        .create("/enrollments/edge-001", &individual("edge-001", &leaf))
        .await;
    let mut session = session(&service, "edge-001", Some(chain(&[&leaf])));
    let granted = session
        .subscribe("$dps/registrations/res/#", QoS::AtLeastOnce)
        .await;
    assert_eq!(granted, SubscribeResult::Granted(QoS::AtLeastOnce));
    assert_eq!(
        session.subscribe("#", QoS::AtMostOnce).await,
        SubscribeResult::Refused
    );

    // Python, Node, C#.
    for body in [
        r#"{"payload": null, "registrationId": "edge-001"}"#,
        r#"{"registrationId":"edge-001"}"#,
        "",
    ] {
        let (topic, body) = ask(&mut session, REGISTER, body).await;
        assert_eq!(
            (topic.status, topic.rid.as_str(), topic.retry_after),
            (202, "1", Some(1))
        );
        assert_eq!(
            body["registrationState"],
            json!({"registrationId": "edge-001", "status": "assigning"})
        );
        let operation = body["operationId"].as_str().unwrap();
        let poll = format!(
            "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=a-b&operationId={operation}"
        );
        let (topic, body) = ask(&mut session, &poll, " ").await;
        assert_eq!(
            (topic.status, topic.rid.as_str(), topic.retry_after),
            (200, "a-b", None)
        );
        assert_eq!(body["registrationState"]["assignedHub"], "hub.test");
    }
}

#[tokio::test]
async fn a_refusal_is_told_in_the_answer_to_register() {
    let service = Service::start().await;
    for presented in [None, Some(chain(&[&self_signed("edge-001")]))] {
        let mut session = session(&service, "edge-001", presented);
        let (topic, body) = ask(&mut session, REGISTER, "").await;
        assert_eq!(topic.status, 401);
        assert_eq!(
            (&body["errorCode"], &body["message"]),
            (&json!(401_002), &json!("Unauthorized"))
        );
    }
    let mut session = session(&service, "edge-001", None);
    let (topic, body) = ask(&mut session, REGISTER, "{\"registrationId\":").await;
    assert_eq!((topic.status, &body["errorCode"]), (400, &json!(400_004)));
}

#[tokio::test]
async fn a_message_to_another_topic_ends_the_connection() {
    let service = Service::start().await;
    let mut session = session(&service, "edge-001", None);
    for topic in [
        "devices/edge-001/messages/events/",
        "$dps/registrations/PUT/iotdps-register/",
    ] {
        let publish = Publish {
            topic: topic.to_owned(),
            payload: Bytes::new(),
            retain: false,
            delivery: Delivery::AtMostOnce,
        };
        assert!(
            session.publish(publish, &mut Vec::new()).await.is_err(),
            "{topic}"
        );
    }
}

#[tokio::test]
async fn a_connect_must_be_one_of_a_registering_device() {
    let service = Service::start().await;
    let refused = |change: fn(&mut Connect)| {
        let mut connect = connect(&service, "edge-001");
        change(&mut connect);
        service
            .dps
            .mqtt(&connect, PeerChain::default())
            .err()
            .map(|refused| refused.code)
    };
    assert_eq!(refused(|_| {}), None);
    assert_eq!(refused(|c| c.client_id = "EDGE-001".into()), None);
    let will = Will {
        topic: "t".into(),
        payload: Bytes::new(),
        qos: QoS::AtMostOnce,
        retain: false,
    };
    let mut with_will = connect(&service, "edge-001");
    with_will.will = Some(will);
    let code = service
        .dps
        .mqtt(&with_will, PeerChain::default())
        .err()
        .unwrap()
        .code;
    assert_eq!(code, ConnectReturnCode::NotAuthorized);
    assert_eq!(
        refused(|c| c.client_id = "other".into()),
        Some(ConnectReturnCode::IdentifierRejected)
    );
    assert_eq!(
        refused(|c| c.username = None),
        Some(ConnectReturnCode::BadUserNameOrPassword)
    );
    assert_eq!(
        refused(|c| c.username = Some("hub.test/d/?api-version=2021-04-12".into())),
        Some(ConnectReturnCode::BadUserNameOrPassword)
    );
}
