//! Certificate revocation lists, DER and PEM: what was counted is iterated.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pki::UnverifiedCrl;

fuzz_target!(|data: &[u8]| {
    match UnverifiedCrl::read(data.to_vec()) {
        Ok(list) => assert_eq!(list.entries().count(), list.len()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
