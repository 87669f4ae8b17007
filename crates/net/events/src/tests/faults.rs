//! Writes and syncs fail, the disk is full, the power fails.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

// B2, B4: a write that stops half-way, a sync that fails.
#[tokio::test]
async fn a_failed_write_or_sync_is_noticed_by_nobody() {
    // Acts: the file is begun, then two writes and a sync for each record.
    for act in 2..=10 {
        let disk = Simulated::failing([act], act);
        let log = on(&disk, ROOMY);
        let records: Vec<_> = (0..3).map(|byte| vec![byte; 1000]).collect();
        assert_eq!(append_each(&log, &records).await, [1, 2, 3], "act {act}");
        log.require_writable().await.unwrap();
        disk.cut_power();
        drop(log);
        let page = read_all(&on(&disk, ROOMY)).await;
        assert_eq!(offsets(&page), [1, 2, 3], "act {act}");
        assert_eq!(payloads(&page), records, "act {act}");
        assert_eq!(page.missing, [], "act {act}");
    }
}

// B2.
#[tokio::test]
async fn a_disk_that_fails_is_asked_again_and_the_log_says_how_it_is() {
    let disk = Simulated::default();
    let log = on(&disk, ROOMY);
    log.append(0, vec![1]).await.unwrap();
    disk.fail(true);
    for _ in 0..3 {
        assert!(log.append(0, vec![2]).await.is_err());
        assert!(log.is_failing());
        assert!(log.require_writable().await.is_err());
    }
    assert_eq!(offsets(&read_all(&log).await), [1], "reading goes on");
    disk.fail(false);
    // Whoever asks whether it is well finds out, without a record.
    log.require_writable().await.unwrap();
    assert!(!log.is_failing());
    assert_eq!(log.append(0, vec![3]).await.unwrap(), 2);
    disk.cut_power();
    drop(log);
    let page = read_all(&on(&disk, ROOMY)).await;
    assert_eq!(payloads(&page), [[1], [3]]);
    assert_eq!(page.missing, []);
}

#[tokio::test]
async fn a_disk_that_failed_is_not_asked_at_once() {
    let disk = Simulated::default();
    let patient = LogOptions {
        retry: Duration::from_secs(3600),
        ..ROOMY
    };
    let log = on(&disk, patient);
    disk.fail(true);
    assert!(log.append(0, vec![1]).await.is_err());
    disk.fail(false);
    let again = log.append(0, vec![1]).await.unwrap_err();
    assert!(again.to_string().contains("beginning"), "{again}");
    assert!(log.require_writable().await.is_err());
}

#[tokio::test]
async fn a_full_disk_takes_nothing_back_and_goes_on_when_there_is_room() {
    let disk = Simulated::default();
    let log = on(&disk, ROOMY);
    disk.limit(Some(3 * SMALL.segment_bytes));
    let mut acknowledged = Vec::new();
    while let Ok(number) = log.append(0, vec![7; 1000]).await {
        acknowledged.push(number);
    }
    assert!(acknowledged.len() > 8);
    assert_eq!(disk.used(), 3 * SMALL.segment_bytes);
    // What fits into the file that is there is kept still.
    acknowledged.push(log.append(0, vec![7]).await.unwrap());
    assert!(log.append(0, vec![7; 1000]).await.is_err());
    disk.limit(None);
    acknowledged.push(log.append(0, vec![7; 1000]).await.unwrap());
    disk.cut_power();
    drop(log);
    let page = read_all(&on(&disk, ROOMY)).await;
    assert_eq!((offsets(&page), page.missing), (acknowledged, vec![]));
}

// A number that was given out elsewhere is not forgotten because the disk failed when it was told.
#[tokio::test]
async fn numbers_that_could_not_be_passed_over_are_when_the_disk_is_well() {
    let disk = Simulated::default();
    let log = on(&disk, ROOMY);
    log.append(0, vec![1]).await.unwrap();
    disk.fail(true);
    assert!(log.advance(20).await.is_err());
    disk.fail(false);
    log.advance(20).await.unwrap();
    disk.cut_power();
    drop(log);
    let log = on(&disk, ROOMY);
    assert_eq!(log.append(0, vec![2]).await.unwrap(), 20);
}

#[tokio::test]
async fn no_reader_waits_for_the_disk_when_files_are_begun_or_deleted() {
    let disk = Simulated::default();
    let options = LogOptions {
        keep: Some(Duration::from_secs(1)),
        ..SMALL
    };
    let log = on(&disk, options);
    disk.look_at(&log.shared.segments);
    // Files that are left empty, that are too many, that are too old, and the last ones.
    log.advance(5).await.unwrap();
    log.advance(9).await.unwrap();
    append_each(&log, &vec![vec![7; 1000]; 40]).await;
    log.trim(i64::MAX).await;
    log.advance(0).await.unwrap();
    assert_eq!(disk.files().len(), 1);
    assert!(!disk.kept_readers());
    log.retire().await.unwrap();
    assert_eq!(disk.files().len(), 0);
    assert!(!disk.kept_readers());
}

#[derive(Debug, Clone)]
enum Act {
    Append(usize),
    Batch(Vec<usize>),
    PowerCut,
    Restart,
    Probe,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (0..3000_usize).prop_map(Act::Append),
        3 => prop::collection::vec(0..900_usize, 1..6).prop_map(Act::Batch),
        1 => Just(Act::PowerCut),
        1 => Just(Act::Restart),
        1 => Just(Act::Probe),
    ]
}

/// What a payload's place in the test says, so that none is like another.
fn payload(count: &mut u32, length: usize) -> Vec<u8> {
    *count += 1;
    let mut payload = count.to_le_bytes().to_vec();
    payload.resize(length.max(4), 0xAB);
    payload
}

/// All that was acknowledged is there, once, under its number; what is there besides was at least appended.
async fn holds(log: &EventLog, acknowledged: &BTreeMap<u64, Vec<u8>>) {
    let page = read_all(log).await;
    let read: BTreeMap<_, _> = page
        .records
        .iter()
        .map(|record| (record.offset, record.payload.clone()))
        .collect();
    assert_eq!(read.len(), page.records.len(), "a number twice");
    for (number, payload) in acknowledged {
        assert_eq!(read.get(number), Some(payload), "record {number}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    // The whole of B2, B3 and B4 at once.
    #[test]
    fn whatever_fails_what_was_acknowledged_is_there_and_no_number_is_given_twice(
        acts in prop::collection::vec(act(), 1..30),
        failing in prop::collection::btree_set(1..120_u64, 0..20),
        chance in any::<u64>(),
    ) {
        let disk = Simulated::failing(failing, chance);
        let mut count = 0;
        let mut acknowledged = BTreeMap::new();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut log = on(&disk, ROOMY);
        for act in acts {
            match act {
                Act::Append(length) => {
                    let payload = payload(&mut count, length);
                    if let Ok(number) = runtime.block_on(log.append(0, payload.clone())) {
                        assert_eq!(acknowledged.insert(number, payload), None);
                    }
                }
                Act::Batch(lengths) => {
                    let batch: Vec<_> = lengths.iter().map(|length| payload(&mut count, *length)).collect();
                    if let Ok(last) = runtime.block_on(log.append_all(0, batch.clone())) {
                        let first = last + 1 - batch.len() as u64;
                        for (number, payload) in (first..).zip(batch) {
                            assert_eq!(acknowledged.insert(number, payload), None);
                        }
                    }
                }
                Act::PowerCut => {
                    drop(log);
                    disk.cut_power();
                    log = on(&disk, ROOMY);
                    runtime.block_on(holds(&log, &acknowledged));
                }
                Act::Restart => {
                    drop(log);
                    log = on(&disk, ROOMY);
                }
                // Whatever it says.
                Act::Probe => drop(runtime.block_on(log.require_writable())),
            }
        }
        runtime.block_on(holds(&log, &acknowledged));
        drop(log);
        disk.cut_power();
        let log = on(&disk, ROOMY);
        runtime.block_on(holds(&log, &acknowledged));
    }
}
