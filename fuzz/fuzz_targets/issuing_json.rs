//! Bodies about issuers and trust bundles: the private key leaves the document, and limits hold.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::muster_api::issuer::IssuerRequest;
use wire::muster_api::trust_bundle::{MAX_TRUSTED, TrustBundleRequest};

fuzz_target!(|data: &[u8]| {
    let Ok(body) = wire::lenient::parse(data) else {
        return;
    };
    if let Ok(bundle) = TrustBundleRequest::parse(&body) {
        assert!((1..=MAX_TRUSTED).contains(&bundle.certificates.len()));
    }
    if let Ok(issuer) = IssuerRequest::parse(body) {
        let days = issuer.profile.lifetime.length().as_secs_f64() / 86_400.0;
        assert!((1.0 / 1440.0..=3650.0).contains(&days));
        assert!((1..=3).contains(&issuer.profile.key_types.len()));
    }
});
