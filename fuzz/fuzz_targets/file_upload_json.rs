//! Bodies of devices that upload files.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::file_upload::{UploadCompletion, md5_of_text, md5_text, parse_request};

fuzz_target!(|data: &[u8]| {
    let _ = parse_request(data);
    let _ = UploadCompletion::parse(data);
    if let Ok(text) = std::str::from_utf8(data)
        && let Some(digest) = md5_of_text(text)
    {
        assert_eq!(md5_of_text(&md5_text(digest)), Some(digest));
    }
});
