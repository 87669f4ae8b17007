//! Target conditions of deployments: read, and asked about a device.
#![no_main]

use libfuzzer_sys::fuzz_target;
use registry::condition::{Condition, Facts};
use registry::query::ParseError;
use serde_json::json;

fuzz_target!(|text: &str| {
    match Condition::parse(text) {
        Ok(condition) => {
            let tags = json!({ "environment": "test", "site": { "floor": 3 } });
            let Some(tags) = tags.as_object() else { return };
            let _ = condition.matches(Facts { device_id: "edge-001", module_id: None, tags, reported: tags });
        }
        Err(ParseError { position, .. }) => {
            assert!(position <= text.chars().count(), "a position outside of the text");
        }
    }
});
