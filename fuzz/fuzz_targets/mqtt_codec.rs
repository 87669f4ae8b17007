//! Bytes of a TCP stream as MQTT packets. What was read is written and read again
//! to the same packet.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut stream = BytesMut::from(data);
    while let Ok(Some(packet)) = mqtt::decode(&mut stream, 64 * 1024) {
        let mut written = BytesMut::new();
        if mqtt::encode(&packet, &mut written).is_ok() {
            let again = mqtt::decode(&mut written, 128 * 1024);
            assert_eq!(again.as_ref().ok(), Some(&Some(packet)));
            assert!(written.is_empty(), "a packet was written longer than it reads");
        }
    }
});
