//! Certificates: PEM text of operators, DER of peers, and the verification of a chain
//! that came from outside.
#![no_main]

use ids::Timestamp;
use libfuzzer_sys::fuzz_target;
use pki::{Certificate, IssuerCache, PresentedChain, SeenIssuers};

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(certificates) = Certificate::parse_pem_bundle(text)
    {
        let Some(ca_certificate) = certificates.last().cloned() else { return };
        if let Ok(chain) = PresentedChain::from_certificates(certificates) {
            let cache = IssuerCache::new(16);
            let _ = pki::verify_chain(&chain, &ca_certificate, Timestamp::NEVER, &cache);
        }
    }
    let _ = Certificate::from_der(data);
    let _ = PresentedChain::new(&[data, data], &SeenIssuers::new(4));
});
