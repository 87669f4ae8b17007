//! Lists of certificates as EST sends them: what is read is written as a list that reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pki::{Certificate, certs_only, read_certs_only};

fuzz_target!(|data: &[u8]| match read_certs_only(data) {
    Ok(certificates) => {
        let all: Vec<&Certificate> = certificates.iter().collect();
        assert_eq!(read_certs_only(&certs_only(&all)), Ok(certificates));
    }
    Err(error) => assert!(!error.to_string().is_empty()),
});
