//! The log that older versions kept for all hubs together is taken over into a log of each hub.

use std::path::Path;

use crate::{at, event, events, files, name, open, second_hub};

/// CRC-32C, bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| (crc >> 1) ^ (0x82F6_3B78 & (crc & 1).wrapping_neg());
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), step)
    })
}

/// A record of the shared log of older versions, as they wrote it.
fn old_frame(number: u64, hub: &str, body: &str) -> Vec<u8> {
    let header = format!(
        r#"{{"hub":"{hub}","device":"d","module":null,"enqueued":{},"properties":[["a","b"]]}}"#,
        at(i64::try_from(number).unwrap()).ticks()
    );
    let length = u32::try_from(header.len()).unwrap().to_le_bytes();
    let payload = [&length, header.as_bytes(), body.as_bytes()].concat();
    let numbered = [&number.to_le_bytes(), payload.as_slice()].concat();
    let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
    [&length[..], &crc32c(&numbered).to_le_bytes(), &numbered].concat()
}

/// A file of that log.
fn write_old(directory: &Path, first: u64, frames: &[Vec<u8>]) {
    let mut bytes = frames.concat();
    bytes.resize(8192, 0);
    let path = directory.join(format!("events/{first:020}.log"));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// A data directory of an older version: two hubs, one log, in two files.
async fn old_directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let registry = open(directory.path()).await;
    second_hub(&registry).await;
    drop(registry);
    let write = |first, frames: &[Vec<u8>]| write_old(directory.path(), first, frames);
    let frame = old_frame;
    write(
        5,
        &[
            frame(5, "hub", "a"),
            frame(6, "second", "b"),
            frame(7, "deleted", "c"),
        ],
    );
    write(
        8,
        &[
            frame(8, "second", "d"),
            frame(9, "hub", "e"),
            frame(10, "hub", "f"),
        ],
    );
    directory
}

fn kept(pairs: &[(u64, &str)]) -> Vec<(u64, Vec<u8>)> {
    let owned = |(number, body): &(u64, &str)| (*number, body.as_bytes().to_vec());
    pairs.iter().map(owned).collect()
}

#[tokio::test]
async fn events_of_an_older_version_are_served_under_their_numbers() {
    let directory = old_directory().await;
    let shared: Vec<_> = files(&directory.path().join("events"))
        .into_iter()
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect();
    let registry = open(directory.path()).await;
    let of_hub = kept(&[(5, "a"), (9, "e"), (10, "f")]);
    let of_second = kept(&[(6, "b"), (8, "d")]);
    assert_eq!(events(&registry, "hub").await, of_hub);
    assert_eq!(events(&registry, "second").await, of_second);
    let page = registry.read_events(&name("second"), 6, 10).await.unwrap();
    assert_eq!(page.events[0].event.enqueued, at(8));
    assert!(
        files(&directory.path().join("events"))
            .iter()
            .all(|path| path.is_dir())
    );
    drop(registry);
    // As when the process had ended before the last file was deleted.
    let (path, bytes) = &shared[1];
    std::fs::write(path, bytes).unwrap();
    let registry = open(directory.path()).await;
    assert_eq!(events(&registry, "hub").await, of_hub);
    assert_eq!(events(&registry, "second").await, of_second);
    let next = registry
        .append_telemetry(&event("second", 11, b"new"))
        .await;
    assert!(next.unwrap() > 8);
}

// B3, in what an older version left.
#[tokio::test]
async fn a_damaged_event_of_an_older_version_costs_itself_and_no_number() {
    let directory = old_directory().await;
    let [first, last] = files(&directory.path().join("events")).try_into().unwrap();
    for (file, body) in [(first, b"a"), (last, b"f")] {
        let mut bytes = std::fs::read(&file).unwrap();
        // The body is the last byte of its record.
        let place = bytes
            .windows(3)
            .position(|window| window[..2] == *b"]}" && window[2] == body[0]);
        bytes[place.unwrap() + 2] ^= 4;
        std::fs::write(&file, bytes).unwrap();
    }
    let registry = open(directory.path()).await;
    assert_eq!(events(&registry, "hub").await, kept(&[(9, "e")]));
    assert_eq!(
        events(&registry, "second").await,
        kept(&[(6, "b"), (8, "d")])
    );
    let next = registry.append_telemetry(&event("hub", 11, b"new")).await;
    assert!(next.unwrap() > 10, "10 was given out");
}

// The next file says how many events the end of a damaged one held.
#[tokio::test]
async fn a_damaged_end_of_an_old_file_costs_nothing_in_the_next_ones() {
    let directory = old_directory().await;
    let third = [old_frame(11, "second", "g"), old_frame(12, "hub", "h")];
    write_old(directory.path(), 11, &third);
    let first = files(&directory.path().join("events")).remove(0);
    let mut bytes = std::fs::read(&first).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    assert_eq!(bytes[end], b'c', "the body of 7");
    bytes[end] ^= 4;
    std::fs::write(&first, bytes).unwrap();
    let registry = open(directory.path()).await;
    let of_hub = kept(&[(5, "a"), (9, "e"), (10, "f"), (12, "h")]);
    assert_eq!(events(&registry, "hub").await, of_hub);
    let of_second = kept(&[(6, "b"), (8, "d"), (11, "g")]);
    assert_eq!(events(&registry, "second").await, of_second);
    let next = registry.append_telemetry(&event("hub", 13, b"new")).await;
    assert_eq!(next.unwrap(), 13);
}

// Its readers may have come as far as the last number of all hubs.
#[tokio::test]
async fn a_hub_without_events_in_the_old_log_goes_on_behind_its_numbers() {
    let directory = old_directory().await;
    for file in files(&directory.path().join("events")) {
        std::fs::remove_file(file).unwrap();
    }
    let only = [old_frame(5000, "hub", "a"), old_frame(5001, "deleted", "b")];
    write_old(directory.path(), 5000, &only);
    drop(open(directory.path()).await);
    let registry = open(directory.path()).await;
    assert_eq!(events(&registry, "hub").await, kept(&[(5000, "a")]));
    for hub in ["hub", "second"] {
        let next = registry.append_telemetry(&event(hub, 6000, b"new")).await;
        assert_eq!(next.unwrap(), 5002, "{hub}");
        let page = registry.read_events(&name(hub), 5001, 10).await.unwrap();
        assert_eq!((page.events.len(), page.missing), (1, vec![]), "{hub}");
    }
}
