//! The path of a request to the blob endpoint, and the name of a blob. An accepted name stays in the
//! folder of its device, and its path reads as it was written.
#![no_main]

use std::path::{Component, Path};

use libfuzzer_sys::fuzz_target;
use wire::file_upload::{BlobName, CONTAINER, blob_of_path};
use wire::http::encode_segment;

fuzz_target!(|text: &str| {
    let _ = blob_of_path(text);
    let Ok(name) = BlobName::parse(text) else {
        return;
    };
    let mut parts = Path::new(name.as_str()).components();
    assert!(parts.all(|part| matches!(part, Component::Normal(_))), "{text:?}");
    for path in [
        encode_segment(name.as_str()),
        name.as_str().split('/').map(encode_segment).collect::<Vec<_>>().join("/"),
    ] {
        let read = blob_of_path(&format!("/{CONTAINER}/{path}"));
        assert_eq!(read.as_deref(), Some(name.as_str()));
    }
});
