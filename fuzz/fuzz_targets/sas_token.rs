//! Shared access signatures, before they are believed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::sas::UnverifiedToken;

fuzz_target!(|text: &str| {
    let _ = UnverifiedToken::parse(text);
});
