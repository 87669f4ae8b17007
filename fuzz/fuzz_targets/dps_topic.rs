//! Topics of the provisioning service, both directions.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::topic::{ProvisioningRequest, ProvisioningResponse};

fuzz_target!(|topic: &str| {
    let _ = ProvisioningRequest::parse(topic);
    let _ = ProvisioningResponse::parse(topic);
});
