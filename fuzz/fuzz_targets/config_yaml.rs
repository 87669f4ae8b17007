//! The `config.yaml` of iotedge before 1.2. What is imported is TOML.
#![no_main]

use edge::config::{Config, import, with_connection_string};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match import(text, None) {
        Err(fault) => assert!(!fault.message.is_empty(), "refused without a reason"),
        Ok(imported) => {
            assert!(imported.text.parse::<toml::Table>().is_ok(), "not TOML");
            let _ = Config::parse(&imported.text);
        }
    }
    if let Ok(text) = with_connection_string(text) {
        assert!(text.parse::<toml::Table>().is_ok(), "not TOML");
    }
});
