//! Bodies of devices that ask their hub for another certificate.
#![no_main]

use ids::DeviceId;
use libfuzzer_sys::fuzz_target;
use wire::device_api::certificate_renewal::IssueCertificateRequest;

fuzz_target!(|data: &[u8]| {
    let Ok(device) = DeviceId::parse("dev-001") else {
        return;
    };
    match IssueCertificateRequest::parse(data, &device) {
        Ok(read) => assert!(!read.csr.as_bytes().is_empty()),
        Err(error) => assert_eq!(error.code().http_status(), 400),
    }
});
