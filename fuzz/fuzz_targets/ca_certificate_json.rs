//! Bodies about CA certificates, and the certificates in them as operators' tools write them.
#![no_main]

use ids::Timestamp;
use libfuzzer_sys::fuzz_target;
use pki::Certificate;
use wire::service_api::ca_certificate::{CaCertificateRequest, VerifyRequest};

fuzz_target!(|data: &[u8]| {
    if let Ok(body) = wire::lenient::parse(data) {
        let verify = VerifyRequest::parse(&body);
        if let Ok(request) = CaCertificateRequest::parse(&body) {
            // Whatever can be uploaded can be shown as proof, and is refused there for what it
            // says.
            assert_eq!(verify.map(|v| v.certificate).ok(), Some(request.certificate));
        }
    }
    if let Ok(certificate) = Certificate::parse_one(data) {
        let now = certificate.not_before();
        if let Ok(ca_certificate) = pki::usable_ca_certificate(&certificate, now) {
            assert!(ca_certificate.certificate().is_ca());
        }
        assert!(pki::prove_possession(&certificate, &certificate, Timestamp::NEVER).is_err());
    }
});
