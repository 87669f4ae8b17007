//! Certificate revocation lists, DER and PEM: none is read in part.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pki::UnverifiedCrl;

fuzz_target!(|data: &[u8]| {
    match UnverifiedCrl::read(data.to_vec()) {
        Ok(list) => drop(list.issuer()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
