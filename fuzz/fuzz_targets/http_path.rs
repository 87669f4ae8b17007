//! What HTTP requests carry besides their bodies: the path, `If-Match`, and headers of pages.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::http::{IfMatch, Path, continuation, page_size};

fuzz_target!(|text: &str| {
    if let Ok(path) = Path::parse(text) {
        // A segment is decoded once.
        let slashes = text.matches('/').count();
        assert!(path.segments().len() <= slashes + 1);
    }
    let _ = IfMatch::parse(Some(text));
    assert!((1..=1000).contains(&page_size(Some(text), 100, 1000)));
    if let Some(token) = continuation(Some(text)) {
        assert!(!token.is_empty());
    }
});
