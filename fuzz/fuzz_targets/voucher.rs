//! Vouchers of a fleet. One that verifies is written and read back as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use voucher::{Trust, UnverifiedVoucher};

fuzz_target!(|text: &str| {
    let read = match UnverifiedVoucher::parse(text) {
        Ok(read) => read,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let written = read.to_json().expect("a voucher is texts");
    assert_eq!(UnverifiedVoucher::parse(&written).as_ref(), Ok(&read));
    match read.verify(Trust::default()) {
        Ok(verified) => {
            assert_eq!(verified.links()[0].signer, *verified.maker());
            assert!(!verified.devices().is_empty());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
