//! Certification requests of devices, DER and PEM. Whatever is proven names the device and
//! has an accepted key.
#![no_main]

use ids::RegistrationId;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(id) = RegistrationId::parse("edge-001") else { return };
    match pki::prove_request(data, &id) {
        Ok(request) => assert_eq!(request.registration_id(), &id),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
