//! The list of blocks of an uploaded file. The names of accepted blocks are names of files.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::file_upload::{MAX_BLOCKS, parse_block_list};

fuzz_target!(|body: &[u8]| {
    let Ok(blocks) = parse_block_list(body) else {
        return;
    };
    assert!(blocks.len() <= MAX_BLOCKS);
    for block in blocks {
        let name = block.file_name();
        assert!(!name.is_empty() && name.len() <= 255, "{name}");
        assert!(name.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}");
    }
});
