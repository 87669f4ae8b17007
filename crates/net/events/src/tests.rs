//! The log on a real folder, and on a simulated disk.

mod damage;
mod faults;
mod format;
mod retention;
mod simulated;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::*;
use simulated::SimulatedDisk;

const SMALL: LogOptions = LogOptions {
    max_segment_bytes: 8192,
    max_bytes: 3 * 8192,
    retention: None,
    retry_interval: Duration::ZERO,
};
/// Many small files, none of which is deleted.
const ROOMY: LogOptions = LogOptions {
    max_bytes: u64::MAX,
    ..SMALL
};
const SEED: u64 = 7;

fn open(folder: &Path) -> EventLog {
    EventLog::open(folder.to_owned(), SMALL, SEED).unwrap()
}

fn on(disk: &SimulatedDisk, options: LogOptions) -> EventLog {
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

/// Every page of a log as one.
async fn read_all(log: &EventLog) -> Page {
    let mut all = Page::default();
    loop {
        let page = log.read(all.next, 50).await.unwrap();
        if page.next == all.next {
            return all;
        }
        assert!(page.next > all.next, "each page makes progress");
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
    let log = EventLog::open(folder.path().to_owned(), options, SEED).unwrap();
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
async fn a_record_larger_than_a_file_has_one_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let open = || EventLog::open(folder.path().to_owned(), ROOMY, SEED).unwrap();
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

#[tokio::test]
async fn a_batch_is_synced_once() {
    let disk = SimulatedDisk::default();
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
    let disk = SimulatedDisk::default();
    let log = on(&disk, ROOMY);
    let record = |offset: u64| Record {
        offset,
        at: 5,
        payload: vec![1],
    };
    log.import(vec![record(3), record(7)]).await.unwrap();
    // Once more, as after an import that was cut off.
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
