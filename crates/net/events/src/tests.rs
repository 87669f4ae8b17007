mod damage;
mod faults;
mod simulated;

use proptest::prelude::*;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::*;
use simulated::Simulated;

const SMALL: LogOptions = LogOptions {
    segment_bytes: 8192,
    bytes: 3 * 8192,
    keep: None,
    retry: Duration::ZERO,
};
/// Many small files, and none is deleted.
const ROOMY: LogOptions = LogOptions {
    bytes: u64::MAX,
    ..SMALL
};
const SEED: u64 = 7;

fn open(folder: &Path) -> EventLog {
    EventLog::open_at(folder.to_owned(), SMALL, SEED).unwrap()
}

fn on(disk: &Simulated, options: LogOptions) -> EventLog {
    EventLog::open_on(Arc::new(disk.clone()), PathBuf::from("/log"), options, SEED).unwrap()
}

fn offsets(page: &Page) -> Vec<u64> {
    page.records.iter().map(|record| record.offset).collect()
}

fn payloads(page: &Page) -> Vec<&[u8]> {
    let payload = |record: &'_ Record| record.payload.clone().leak() as &[u8];
    page.records.iter().map(payload).collect()
}

async fn append_each(log: &EventLog, records: &[Vec<u8>]) -> Vec<u64> {
    let mut offsets = Vec::new();
    for record in records {
        offsets.push(log.append(0, record.clone()).await.unwrap());
    }
    offsets
}

/// All that is in a log, however many answers it takes.
async fn read_all(log: &EventLog) -> Page {
    let mut all = Page::default();
    loop {
        let page = log.read(all.next, 50).await.unwrap();
        if page.next == all.next {
            return all;
        }
        assert!(page.next > all.next, "an answer gets further");
        all.next = page.next;
        all.records.extend(page.records);
        all.missing.extend(page.missing);
    }
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(work)
}

#[tokio::test]
async fn records_come_back_in_order_also_after_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    assert_eq!(
        (log.last(), log.read(0, 10).await.unwrap()),
        (0, Page::default())
    );
    let three = [b"a".to_vec(), vec![], b"c".to_vec()];
    assert_eq!(append_each(&log, &three).await, [1, 2, 3]);
    drop(log);
    let log = open(folder.path());
    assert_eq!(log.append(9, b"d".to_vec()).await.unwrap(), 4);
    let page = log.read(1, 2).await.unwrap();
    let record = |offset, at, payload: &[u8]| Record {
        offset,
        at,
        payload: payload.to_vec(),
    };
    assert_eq!(page.records, [record(2, 0, b""), record(3, 0, b"c")]);
    assert_eq!((page.next, page.missing), (3, vec![]));
    let rest = log.read(3, 10).await.unwrap();
    assert_eq!(rest.records, [record(4, 9, b"d")]);
}

#[tokio::test]
async fn many_at_once_share_the_disk_and_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let options = LogOptions::default();
    let log = EventLog::open_at(folder.path().to_owned(), options, SEED).unwrap();
    let mut running = tokio::task::JoinSet::new();
    for number in 0..2000_u32 {
        let log = log.clone();
        running.spawn(async move {
            let offset = log.append(0, number.to_le_bytes().to_vec()).await.unwrap();
            (offset, number)
        });
    }
    for (offset, number) in running.join_all().await {
        let found = log.read(offset - 1, 1).await.unwrap();
        assert_eq!(found.records[0].offset, offset);
        assert_eq!(found.records[0].payload, number.to_le_bytes());
    }
    assert_eq!(log.read(0, 5000).await.unwrap().records.len(), 2000);
}

#[tokio::test]
async fn old_files_go_and_reading_begins_at_the_oldest_kept() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    append_each(&log, &vec![vec![7; 1000]; 20]).await;
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
    assert_eq!(log.bytes(), 3 * 8192);
    let page = log.read(0, 100).await.unwrap();
    let kept = offsets(&page);
    assert_eq!(kept.last(), Some(&20));
    assert!(kept.len() < 20 && kept.windows(2).all(|pair| pair[1] == pair[0] + 1));
    assert_eq!(page.missing, [], "what is too old is not missing");
    drop(log);
    let again = open(folder.path()).read(0, 100).await.unwrap();
    assert_eq!(offsets(&again), kept);
}

#[tokio::test]
async fn a_record_larger_than_a_file_has_one_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let open = || EventLog::open_at(folder.path().to_owned(), ROOMY, SEED).unwrap();
    let log = open();
    append_each(&log, &[vec![1; 10], vec![2; 9000], vec![3; 10]]).await;
    drop(log);
    let log = open();
    let page = log.read(0, 10).await.unwrap();
    let sizes: Vec<_> = payloads(&page)
        .iter()
        .map(|payload| payload.len())
        .collect();
    assert_eq!(sizes, [10, 9000, 10]);
    let refused = log.append(0, vec![0; MAX_RECORD + 1]).await.unwrap_err();
    assert!(refused.to_string().contains("appending to"), "{refused}");
}

#[tokio::test]
async fn waiting_ends_when_a_record_is_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    let waiting = tokio::spawn({
        let log = log.clone();
        async move { log.wait_after(0).await }
    });
    log.append(0, vec![1]).await.unwrap();
    waiting.await.unwrap();
}

// B1.
#[tokio::test]
async fn what_is_older_than_is_kept_goes_also_when_nothing_comes() {
    let folder = tempfile::tempdir().unwrap();
    let options = LogOptions {
        keep: Some(Duration::from_secs(100)),
        bytes: u64::MAX,
        ..SMALL
    };
    let second = 10_000_000;
    let log = EventLog::open_at(folder.path().to_owned(), options, SEED).unwrap();
    for at in 0..60 {
        log.append(at * second, vec![0; 500]).await.unwrap();
    }
    let kept = async |now: i64| {
        log.trim(now * second).await;
        // The writer does one thing after the other.
        log.advance(0).await.unwrap();
        let page = read_all(&log).await;
        assert_eq!(page.missing, []);
        offsets(&page)
    };
    assert_eq!(kept(100).await.len(), 60);
    let some = kept(130).await;
    let young = |offset: &u64| *offset > 31;
    assert!((30..60).contains(&some.len()), "{some:?}");
    assert!((32..=60).all(|offset| some.contains(&offset)), "{some:?}");
    assert!(some.iter().filter(|offset| !young(offset)).count() < 16);
    assert_eq!(kept(160).await, [] as [u64; 0]);
    drop(log);
    let log = EventLog::open_at(folder.path().to_owned(), options, SEED).unwrap();
    assert_eq!(log.append(170 * second, vec![1]).await.unwrap(), 61);
}

// Size is not to push out what is young enough: as many files as are closed by age have room, however small the log is.
#[tokio::test]
async fn a_small_log_of_few_records_keeps_them_as_long_as_it_says() {
    let (hour, day) = (36_000_000_000, 24_i64);
    for mib in [1, 2, 10] {
        let disk = Simulated::default();
        let keep = Duration::from_secs(3600 * 10 * day.unsigned_abs());
        let log = on(&disk, LogOptions::keeping(mib << 20, Some(keep)));
        for now in 1..=30 * day {
            log.append(now * hour, vec![0]).await.unwrap();
            log.trim(now * hour).await;
        }
        let oldest = log.oldest().await.unwrap().unwrap().at / hour;
        // Those of the last ten days, and up to a tenth more.
        let kept = 30 * day - oldest;
        assert!(
            (10 * day..=11 * day + 2).contains(&kept),
            "{mib} MiB: {kept} hours"
        );
        assert!(log.bytes() <= mib << 20, "{mib} MiB: {}", log.bytes());
    }
}

// B4: a batch is one group.
#[tokio::test]
async fn a_batch_is_synced_once() {
    let disk = Simulated::default();
    let log = on(&disk, ROOMY);
    log.append(0, vec![0]).await.unwrap();
    let before = disk.syncs();
    let batch: Vec<_> = (1..=20).map(|byte| vec![byte]).collect();
    assert_eq!(log.append_all(0, batch).await.unwrap(), 21);
    assert_eq!(disk.syncs(), before + 1);
    assert_eq!(log.append_all(0, vec![]).await.unwrap(), 21);
}

#[tokio::test]
async fn records_of_another_log_keep_their_numbers() {
    let disk = Simulated::default();
    let log = on(&disk, ROOMY);
    let record = |offset: u64| Record {
        offset,
        at: 5,
        payload: vec![1],
    };
    log.import(vec![record(3), record(7)]).await.unwrap();
    // Once more, as after an end in the middle.
    log.import(vec![record(3), record(7), record(9)])
        .await
        .unwrap();
    log.advance(20).await.unwrap();
    drop(log);
    let log = on(&disk, ROOMY);
    assert_eq!(log.append(6, vec![2]).await.unwrap(), 20);
    let page = read_all(&log).await;
    assert_eq!(offsets(&page), [3, 7, 9, 20]);
    assert_eq!(page.missing, []);
}

#[tokio::test]
async fn a_log_that_is_retired_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hub");
    let log = EventLog::open_at(path.clone(), SMALL, SEED).unwrap();
    append_each(&log, &vec![vec![1; 3000]; 4]).await;
    log.retire().await.unwrap();
    assert!(!path.exists());
    assert!(log.append(0, vec![1]).await.is_err());
}

#[test]
fn a_file_of_a_newer_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("0000000001-1-1.log3"), "").unwrap();
    let refused = EventLog::open_at(folder.path().to_owned(), SMALL, SEED).err();
    let cause = std::error::Error::source(&refused.unwrap())
        .unwrap()
        .to_string();
    assert!(cause.contains("newer version"), "{cause}");
}

/// What is on disk is read by later versions: files that no code of ours made, as the format in `frame.rs` and `segment.rs` says.
#[tokio::test]
async fn the_format_on_disk_stays() {
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
    fn reading_any_head_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..64), salt in any::<u64>()) {
        let _ = frame::head(salt, &bytes);
    }
}
