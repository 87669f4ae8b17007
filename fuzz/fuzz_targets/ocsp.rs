//! OCSP requests: limits hold, and a CertID that is of a CA is one that we would write, but for the
//! parameters of its hash.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use pki::{CaHashes, Certificate, MAX_OCSP_IDS, OcspRequest};

/// The CA that the seeds ask for.
static CA: LazyLock<Option<CaHashes>> = LazyLock::new(|| {
    let ca = Certificate::from_der(include_bytes!("../seeds/cms/ca.der")).ok()?;
    Some(CaHashes::of(&ca))
});

fuzz_target!(|data: &[u8]| {
    let request = match OcspRequest::read(data) {
        Ok(request) => request,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert!((1..=MAX_OCSP_IDS).contains(&request.ids.len()));
    assert!(request.nonce.is_none_or(|nonce| (1..=128).contains(&nonce.len())));
    for id in &request.ids {
        let (Some(ca), Some(hash)) = (&*CA, id.hash) else { continue };
        if ca.name(id) {
            let ours = ca.cert_id(hash, id.serial);
            assert!(ours == id.der() || ours.len() == id.der().len() + 2);
        }
    }
});
