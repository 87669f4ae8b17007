//! Properties of cloud-to-device messages, a line each as `name: value`. What is accepted makes a
//! property bag that reads as it was written, and headers that HTTP allows.
#![no_main]

use ids::{DeviceId, HubName, Identity, Timestamp};
use libfuzzer_sys::fuzz_target;
use wire::cloud_message::{Delivery, SendRequest};
use wire::device_api::message::{PropertyBag, system};

fuzz_target!(|text: &str| {
    let headers = text.lines().filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name, value.as_bytes()));
    let Ok(request) = SendRequest::from_headers(headers) else {
        return;
    };
    let to = Identity::device(
        HubName::parse("hub").expect("a name"),
        DeviceId::parse("d1").expect("an id"),
    );
    let delivery = Delivery {
        to: &to,
        sequence_number: 1,
        message_id: request.message_id.as_deref().unwrap_or("m1"),
        ack: request.ack,
        enqueued: Timestamp::from_unix_seconds(0),
        expires: request.expires.unwrap_or(Timestamp::from_unix_seconds(1)),
        deliveries: 0,
        properties: &request.properties,
    };
    let bag = delivery.bag();
    assert!(!bag.is_empty() && !bag.contains(['/', '+', '#']), "{bag}");
    let read = PropertyBag::decode(&bag).expect("a bag of ours");
    assert_eq!(read.text(system::ACK), Some(request.ack.name()));
    for (name, value) in delivery.headers() {
        assert!(name.bytes().all(|byte| byte.is_ascii_graphic()), "{name}");
        assert!(!value.chars().any(char::is_control), "{value}");
    }
});
