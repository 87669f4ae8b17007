//! User names of MQTT connections, for the provisioning service and for hubs.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::device_api::username::Username;

fuzz_target!(|text: &str| {
    let _ = Username::parse(text);
});
