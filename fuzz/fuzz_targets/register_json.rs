//! The body of a register request, and the token beside it: both come from devices
//! that have proven nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::device_api::register_request::{CsrClaim, UnverifiedRegister};

fuzz_target!(|body: &[u8]| {
    match UnverifiedRegister::parse(body) {
        Ok(register) => {
            if let Some(id) = &register.registration_id {
                assert!(register.require_id(id).is_ok());
            }
            if let Some(tpm) = &register.tpm {
                assert!((1..=1024).contains(&tpm.endorsement_key.as_bytes().len()));
            }
            match &register.csr {
                Some(CsrClaim::Der(der)) => assert!(der.as_bytes().len() <= 16 * 1024),
                Some(CsrClaim::Pem(pem)) => assert!(pem.len() <= 16 * 1024),
                None => {}
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
