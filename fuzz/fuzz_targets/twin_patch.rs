//! Twin documents of outside: a service's patch, a device's report, and the limits of twins.
#![no_main]

use libfuzzer_sys::fuzz_target;
use registry::InitialTwin;
use wire::twin::{TwinChange, parse_reported};

fuzz_target!(|data: &[u8]| {
    if let Ok(body) = wire::lenient::parse(data) {
        let _ = TwinChange::parse(&body);
    }
    if let Ok(document) = parse_reported(data) {
        let _ = InitialTwin::new(&document, &document);
    }
});
