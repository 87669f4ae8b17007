//! A device over MQTT.

use ::mqtt::{Connect, Delivery, Publish, QoS};
use bytes::Bytes;
use dps::DpsSession;
use pki::{PeerChain, PresentedChain};
use serde_json::Value;
use transport::{DeviceSession, Outgoing};
use wire::topic::ProvisioningResponse;

use super::Service;

pub fn connect(service: &Service, id: &str) -> Connect {
    Connect {
        client_id: id.to_owned(),
        clean_session: false,
        keep_alive: 60,
        will: None,
        username: Some(format!(
            "{}/registrations/{id}/api-version=2019-03-31\
             &ClientVersion=azure-iot-device-provisioning-py%2F2.14.0",
            service.id_scope()
        )),
        password: None,
    }
}

pub fn session(service: &Service, id: &str, chain: Option<PresentedChain>) -> DpsSession {
    service
        .dps
        .mqtt(
            &connect(service, id),
            chain.map(PeerChain::of).unwrap_or_default(),
        )
        .unwrap()
}

pub async fn ask(
    session: &mut DpsSession,
    topic: &str,
    payload: &str,
) -> (ProvisioningResponse, Value) {
    let publish = Publish {
        topic: topic.to_owned(),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        retain: false,
        delivery: Delivery::AtMostOnce,
    };
    let mut replies = Vec::new();
    session.publish(publish, &mut replies).await.unwrap();
    let [
        Outgoing {
            topic,
            payload,
            qos,
            ..
        },
    ] = replies.as_slice()
    else {
        panic!("one answer was expected, not {replies:?}")
    };
    assert_eq!(*qos, QoS::AtLeastOnce);
    assert_eq!(topic.matches('$').count(), 2, "the Python SDK splits at $");
    (
        ProvisioningResponse::parse(topic).unwrap(),
        serde_json::from_slice(payload).unwrap(),
    )
}

pub const REGISTER: &str = "$dps/registrations/PUT/iotdps-register/?$rid=1";
