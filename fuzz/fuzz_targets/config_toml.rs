//! The device's `config.toml`. Whatever is refused is refused with a reason.
#![no_main]

use edge::config::Config;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(faults) = Config::parse(text) {
        assert!(!faults.is_empty(), "refused without a reason");
    }
});
