//! Conditions of routes: read, and asked about a message and the twin of its sender.
#![no_main]

use libfuzzer_sys::fuzz_target;
use registry::Event;
use registry::routing::{Facts, RouteCondition};
use serde_json::json;
use wire::device_api::message::PropertyBag;
use wire::telemetry::EventSource;

// The text is the condition, the property bag of the message and its body, a line each.
fuzz_target!(|text: &str| {
    let mut lines = text.splitn(3, '\n');
    let condition = lines.next().unwrap_or_default();
    let Ok(condition) = RouteCondition::parse(condition) else { return };
    let bag = PropertyBag::decode(lines.next().unwrap_or_default()).unwrap_or_default();
    let (Ok(hub), Ok(device)) = ("hub".parse(), "d1".parse()) else { return };
    let event = Event {
        hub,
        device,
        module: None,
        enqueued: ids::Timestamp::from_unix_seconds(0),
        source: EventSource::DeviceMessages,
        sender: None,
        properties: bag
            .iter()
            .map(|(name, value)| (name.to_owned(), value.unwrap_or_default().to_owned()))
            .collect(),
        body: lines.next().unwrap_or_default().as_bytes().to_vec(),
    };
    let twin = || Some(json!({ "tags": { "site": { "floor": 3 } }, "properties": {} }));
    let _ = condition.decide(&Facts::new(&event, &twin));
});
