use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use proptest::prelude::*;

use super::*;

const SMALL: LogOptions = LogOptions {
    segment_bytes: 4096,
    segments: 3,
};

fn open(folder: &Path) -> EventLog {
    EventLog::open_at(folder.to_owned(), SMALL).unwrap()
}

fn offsets(records: &[Record]) -> Vec<u64> {
    records.iter().map(|record| record.offset).collect()
}

async fn append_all(log: &EventLog, records: &[Vec<u8>]) -> Vec<u64> {
    let mut offsets = Vec::new();
    for record in records {
        offsets.push(log.append(record.clone()).await.unwrap());
    }
    offsets
}

fn tail_file(folder: &Path) -> PathBuf {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files.pop().unwrap()
}

#[tokio::test]
async fn records_come_back_in_order_also_after_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    assert_eq!((log.last(), log.read(0, 10).await.unwrap()), (0, vec![]));
    assert_eq!(
        append_all(&log, &[b"a".to_vec(), vec![], b"c".to_vec()]).await,
        [1, 2, 3]
    );
    drop(log);
    let log = open(folder.path());
    assert_eq!(log.append(b"d".to_vec()).await.unwrap(), 4);
    let records = log.read(1, 2).await.unwrap();
    assert_eq!(
        records,
        [
            Record {
                offset: 2,
                payload: vec![]
            },
            Record {
                offset: 3,
                payload: b"c".to_vec()
            }
        ]
    );
    assert_eq!(offsets(&log.read(3, 10).await.unwrap()), [4]);
}

#[tokio::test]
async fn many_at_once_share_the_disk_and_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let log = EventLog::open_at(
        folder.path().to_owned(),
        LogOptions {
            segment_bytes: 65536,
            segments: 100,
        },
    )
    .unwrap();
    let mut running = tokio::task::JoinSet::new();
    for number in 0..2000_u32 {
        let log = log.clone();
        running.spawn(async move {
            (
                log.append(number.to_le_bytes().to_vec()).await.unwrap(),
                number,
            )
        });
    }
    let written = running.join_all().await;
    for (offset, number) in written {
        let found = log.read(offset - 1, 1).await.unwrap();
        assert_eq!(
            found,
            [Record {
                offset,
                payload: number.to_le_bytes().to_vec()
            }]
        );
    }
    assert_eq!(log.read(0, 5000).await.unwrap().len(), 2000);
}

#[tokio::test]
async fn old_segments_go_and_reading_begins_at_the_oldest_kept() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    append_all(&log, &vec![vec![7; 1000]; 20]).await;
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
    let kept = offsets(&log.read(0, 100).await.unwrap());
    assert_eq!(kept.last(), Some(&20));
    assert!(kept.len() < 20 && kept.windows(2).all(|pair| pair[1] == pair[0] + 1));
    drop(log);
    assert_eq!(
        offsets(&open(folder.path()).read(0, 100).await.unwrap()),
        kept
    );
}

#[tokio::test]
async fn a_record_larger_than_a_segment_has_one_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    append_all(&log, &[vec![1; 10], vec![2; 9000], vec![3; 10]]).await;
    drop(log);
    let log = open(folder.path());
    let sizes: Vec<_> = log
        .read(0, 10)
        .await
        .unwrap()
        .iter()
        .map(|record| record.payload.len())
        .collect();
    assert_eq!(sizes, [10, 9000, 10]);
    let error = log
        .append(vec![0; MAX_RECORD + 1])
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("appending to"), "{error}");
}

#[tokio::test]
async fn waiting_ends_when_a_record_is_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    let waiting = tokio::spawn({
        let log = log.clone();
        async move { log.wait_after(0).await }
    });
    log.append(vec![1]).await.unwrap();
    waiting.await.unwrap();
}

#[tokio::test]
async fn what_lies_behind_the_first_bad_frame_never_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    append_all(&log, &[vec![1; 8], vec![2; 8], vec![3; 8]]).await;
    drop(log);
    // Record 2 is torn, record 3 behind it is whole.
    let file = OpenOptions::new()
        .write(true)
        .open(tail_file(folder.path()))
        .unwrap();
    file.write_all_at(&[0xFF], (frame::HEADER + 8 + frame::HEADER) as u64)
        .unwrap();
    let log = open(folder.path());
    assert_eq!(offsets(&log.read(0, 10).await.unwrap()), [1]);
    // A new record 2 of the same length ends exactly where the old record 3 began.
    log.append(vec![9; 8]).await.unwrap();
    drop(log);
    assert_eq!(
        offsets(&open(folder.path()).read(0, 10).await.unwrap()),
        [1, 2]
    );
}

/// What happens to the bytes of the last segment.
#[derive(Debug, Clone)]
enum Damage {
    Truncate(usize),
    Flip(usize, u8),
    Zero(usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        any::<usize>().prop_map(Damage::Truncate),
        (any::<usize>(), 1..=255_u8).prop_map(|(at, mask)| Damage::Flip(at, mask)),
        any::<usize>().prop_map(Damage::Zero),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn recovery_keeps_a_prefix_and_goes_on(
        records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..12),
        damage in damage(),
        more in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..6),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let log = open(folder.path());
            append_all(&log, &records).await;
            drop(log);
            let used: usize = records.iter().map(|record| frame::HEADER + record.len()).sum();
            let path = tail_file(folder.path());
            let mut bytes = std::fs::read(&path).unwrap();
            match damage {
                Damage::Truncate(at) => bytes.truncate(at % used),
                Damage::Flip(at, mask) => bytes[at % used] ^= mask,
                Damage::Zero(at) => bytes[at % used..].fill(0),
            }
            std::fs::write(&path, &bytes).unwrap();

            let log = open(folder.path());
            let kept = log.read(0, 100).await.unwrap();
            assert!(kept.len() <= records.len());
            for (record, original) in kept.iter().zip(&records) {
                assert_eq!(&record.payload, original);
            }
            append_all(&log, &more).await;
            drop(log);
            let all = open(folder.path()).read(0, 100).await.unwrap();
            let expected: Vec<_> = records[..kept.len()].iter().chain(&more).collect();
            assert_eq!(all.iter().map(|record| &record.payload).collect::<Vec<_>>(), expected);
            assert_eq!(offsets(&all), (1..=all.len() as u64).collect::<Vec<_>>());
        });
    }

    #[test]
    fn decoding_any_bytes_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..64), offset in any::<u64>()) {
        let _ = frame::decode(&bytes, offset);
    }
}
