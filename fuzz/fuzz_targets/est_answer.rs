//! What an EST server answers a device with. What is read is a list of certificates.
#![no_main]

use device::est::{EstServer, complete_chain, read_certificates};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    match read_certificates(data) {
        Ok(certificates) => {
            let chain = complete_chain(certificates[0].clone(), &certificates);
            assert!(chain.len() <= 10 && chain[0] == certificates[0]);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    if let Ok(url) = str::from_utf8(data)
        && let Ok(server) = EstServer::parse(url)
    {
        assert_eq!(EstServer::parse(&server.to_string()), Ok(server));
    }
});
