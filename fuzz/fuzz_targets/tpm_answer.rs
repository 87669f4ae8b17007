//! Answers of a TPM, and what is kept of it: wrapped keys and key files. The first byte chooses.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tpm::{ImportedKey, Public, WrappedKey, read_answer};

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, bytes)) = bytes.split_first() else {
        return;
    };
    match choice % 4 {
        0 | 1 => {
            let begins_with_handle = choice % 4 == 1;
            if let Ok((handle, parameters)) = read_answer(bytes, begins_with_handle) {
                assert_eq!(handle.is_some(), begins_with_handle);
                assert!(parameters.len() < bytes.len());
            }
        }
        2 => {
            if let Ok(key) = ImportedKey::from_bytes(bytes) {
                assert_eq!(key.to_bytes(), bytes);
            }
            if let Ok(public) = Public::parse(bytes) {
                assert!(!public.key().spki_der().is_empty());
            }
        }
        _ => {
            let Ok(text) = std::str::from_utf8(bytes) else {
                return;
            };
            if let Ok(key) = WrappedKey::from_pem(text) {
                assert_eq!(WrappedKey::from_pem(&key.to_pem()), Ok(key));
            }
        }
    }
});
