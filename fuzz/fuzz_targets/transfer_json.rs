//! A request for an import or export. What is accepted reads as it was written, and its names are
//! those of files below a folder.
#![no_main]

use std::path::{Component, Path};

use libfuzzer_sys::fuzz_target;
use wire::service_api::transfer_job::Transfer;

fuzz_target!(|body: &[u8]| {
    let Ok(value) = wire::lenient::parse(body) else {
        return;
    };
    let Ok(transfer) = Transfer::parse(&value) else {
        return;
    };
    let again = Transfer::parse(&transfer.to_json().into()).expect("a request of ours");
    assert_eq!(again, transfer);
    let (Transfer::Import { blob, .. } | Transfer::Export { blob, .. }) = &transfer;
    let names = transfer.containers().map(|container| container.name.as_str());
    for name in names.chain([blob.as_str()]) {
        let mut parts = Path::new(name).components();
        assert!(parts.all(|part| matches!(part, Component::Normal(_))), "{name:?}");
    }
});
