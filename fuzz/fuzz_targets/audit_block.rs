//! Blocks of the audit as a damaged or altered database may hold them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use store::audit::{MAX_BODY, records};

fuzz_target!(|bytes: &[u8]| {
    let mut read = 0;
    for record in records(bytes) {
        let Ok(record) = record else { continue };
        assert!(record.body.len() <= MAX_BODY);
        read += 4 + 8 + 8 + record.body.len() + 32;
        let _ = record.expected(record.hash);
    }
    assert!(read <= bytes.len());
});
