//! Properties of messages. A bag is written as it was read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::device_api::message::PropertyBag;

fuzz_target!(|text: &str| {
    if let Ok(bag) = PropertyBag::decode(text) {
        assert_eq!(PropertyBag::decode(&bag.encode()).ok(), Some(bag));
    }
});
