//! Requests of EST: paths, credentials, media types and bodies, and what a body claims.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pki::RequestClaim;
use wire::est::{BasicCredentials, EstCall, MAX_PASSWORD, MAX_USERNAME, decode, require_pkcs10};
use wire::http::Path;

fuzz_target!(|data: &[u8]| {
    if let Ok(bytes) = decode(data) {
        assert!(!bytes.is_empty());
        let _ = RequestClaim::read(&bytes);
    }
    let Ok(text) = str::from_utf8(data) else { return };
    if let Ok(credentials) = BasicCredentials::read(text) {
        assert!(credentials.username().len() <= MAX_USERNAME);
        assert!(credentials.reveal_password().len() <= MAX_PASSWORD);
    }
    let _ = require_pkcs10(Some(text));
    if let Ok(path) = Path::parse(text) {
        let _ = EstCall::find(&path.segments());
    }
});
