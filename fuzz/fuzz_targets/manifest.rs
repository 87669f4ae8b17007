//! The deployment manifest, as the edge agent reads it from its desired properties.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::edge_api::manifest::AgentDesired;

fuzz_target!(|data: &[u8]| {
    if let Ok(desired) = wire::lenient::parse(data) {
        let _ = AgentDesired::parse(&desired);
    }
});
