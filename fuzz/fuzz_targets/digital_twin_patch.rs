//! JSON patches of digital twins. What is accepted can be desired and shown.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Map, json};
use wire::service_api::digital_twin::{desired_patch, document};
use wire::twin::Section;

fuzz_target!(|data: &[u8]| {
    let Ok(body) = wire::lenient::parse(data) else {
        return;
    };
    let Ok(patch) = desired_patch(&body) else {
        return;
    };
    let operations = body.as_array().expect("an array").len();
    assert!(patch.len() <= operations && !patch.contains_key(""));
    let section = |properties: &Map<_, _>, version| Section {
        properties: properties.clone(),
        metadata: json!({}),
        version,
    };
    for (desired, reported) in [
        (&patch, &Map::new()),
        (&Map::new(), &patch),
        (&patch, &patch),
    ] {
        let twin = document(
            "d1",
            "dtmi:a;1",
            &section(desired, 2),
            &section(reported, 1),
        );
        assert!(twin["$metadata"]["$model"].is_string() || patch.contains_key("$metadata"));
    }
});
