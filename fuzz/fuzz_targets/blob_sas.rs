//! The query string of a request to the blob endpoint. A token that somebody else made up opens
//! nothing, and one that was granted opens its blob.
#![no_main]

use ids::Timestamp;
use libfuzzer_sys::fuzz_target;
use wire::file_upload::BlobSas;
use wire::sas::SharedAccessKey;

fuzz_target!(|query: &str| {
    let key = SharedAccessKey::from_bytes(vec![7; 32]).expect("a key");
    let now = Timestamp::from_unix_seconds(1_000);
    if let Ok(token) = BlobSas::parse(Some(query)) {
        assert!(token.verify(&key, "d1/a.txt", now).is_err(), "{query}");
    }
    let expires = Timestamp::from_unix_seconds(2_000);
    let granted = BlobSas::grant(&key, query, query, expires);
    let read = BlobSas::parse(granted.strip_prefix('?')).expect("a token of ours");
    assert_eq!(read.correlation_id, query);
    assert!(read.verify(&key, query, now).is_ok(), "{granted}");
});
