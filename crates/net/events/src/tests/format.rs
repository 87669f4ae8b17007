//! The files on disk.

use proptest::prelude::*;

use super::*;

#[test]
fn a_file_of_a_newer_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("0000000001-1-1.log3"), "").unwrap();
    let refused = EventLog::open(folder.path().to_owned(), SMALL, SEED).err();
    let cause = std::error::Error::source(&refused.unwrap())
        .unwrap()
        .to_string();
    assert!(cause.contains("newer version"), "{cause}");
}

/// Later versions read the same files: these were not made by this code, but from the format
/// in `frame.rs` and `segment/header.rs`.
#[tokio::test]
async fn the_format_on_disk_does_not_change() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../fuzz/seeds/event_log");
    let read = async |seed: &str| {
        let folder = tempfile::tempdir().unwrap();
        let name = "0000000001-00000000000000000001-0000000000000001.log2";
        std::fs::copy(seeds.join(seed), folder.path().join(name)).unwrap();
        let page = read_all(&open(folder.path())).await;
        (offsets(&page), page.missing)
    };
    assert_eq!(read("hub-three").await, (vec![1, 2, 3], vec![]));
    assert_eq!(read("hub-three-padded").await, (vec![1, 2, 3], vec![]));
    assert_eq!(read("hub-damaged-payload").await, (vec![1, 3], vec![2..=2]));
    assert_eq!(read("hub-damaged-head").await, (vec![1, 3], vec![2..=2]));
    assert_eq!(read("hub-damaged-page").await, (vec![1, 2, 3], vec![]));
    assert_eq!(read("hub-torn").await, (vec![1, 2], vec![]));
    assert_eq!(read("hub-passed-over").await, (vec![1, 9], vec![]));
    let (offsets, missing) = read("hub-followed").await;
    assert_eq!((offsets, *missing[0].start()), (vec![1, 2, 3], 4));
}

proptest! {
    #[test]
    fn reading_any_header_never_panics(
        bytes in prop::collection::vec(any::<u8>(), 0..64), salt in any::<u64>(),
    ) {
        let _ = frame::decode_header(salt, &bytes);
    }
}
