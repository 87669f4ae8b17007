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
        // What passes as tags is at most four times as long as tags may count, however it is
        // written.
        if InitialTwin::new(&document, &document).is_ok() {
            let written = serde_json::Value::Object(document.clone()).to_string();
            assert!(written.len() <= 4 * 8 * 1024, "{} bytes", written.len());
            // And it is read back as it was.
            assert_eq!(parse_reported(written.as_bytes()).ok(), Some(document));
        }
    }
});
