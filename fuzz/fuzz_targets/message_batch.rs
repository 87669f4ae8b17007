//! Batches of messages over HTTPS: telemetry of devices, and cloud-to-device messages, whose
//! properties are those of a batch of one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::cloud_message::SendRequest;
use wire::telemetry::{MAX_BATCH, parse_batch};

fuzz_target!(|data: &[u8]| {
    let Ok(messages) = parse_batch(data) else {
        return;
    };
    assert!(messages.len() <= MAX_BATCH);
    for message in messages {
        if let Ok(request) = SendRequest::from_properties(message.properties.clone()) {
            assert!(request.properties.len() <= message.properties.len());
            assert_ne!(request.message_id.as_deref(), Some(""));
        }
    }
});
