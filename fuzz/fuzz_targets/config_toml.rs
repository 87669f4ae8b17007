//! The device's `config.toml` and the texts in it. Whatever is refused is refused with a reason.
#![no_main]

use edge::config::{Config, Severity, changes, read_additional_info, read_device_connection};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match Config::parse(text) {
        Err(faults) => {
            let errors = faults.iter().filter(|fault| fault.severity == Severity::Error);
            assert!(errors.count() > 0, "refused without a reason");
        }
        Ok((config, _)) => {
            assert_eq!(changes(text, text), [], "a file differs from itself");
            // A comment moves every line and means nothing.
            let moved = Config::parse(&format!("# moved\n{text}"));
            if let Ok((moved, _)) = moved {
                assert_eq!(moved, config);
            }
        }
    }
    if let Err(problem) = read_device_connection(text) {
        assert!(!problem.is_empty());
    }
    if let Err(problem) = read_additional_info(text) {
        assert!(!problem.is_empty());
    }
});
