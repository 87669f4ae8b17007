//! Failed writes and syncs, full disks, power cuts.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

// A write that stops half-way, a sync that fails.
#[tokio::test]
async fn one_failed_write_or_sync_is_not_noticed_by_callers() {
    // Operations: the file is begun, then two writes and a sync for each record.
    for operation in 2..=10 {
        let disk = SimulatedDisk::failing([operation], operation);
        let log = on(&disk, ROOMY);
        let records: Vec<_> = (0..3).map(|byte| vec![byte; 1000]).collect();
        assert_eq!(
            append_each(&log, &records).await,
            [1, 2, 3],
            "operation {operation}"
        );
        log.require_writable().await.unwrap();
        disk.cut_power();
        drop(log);
        let page = read_all(&on(&disk, ROOMY)).await;
        assert_eq!(offsets(&page), [1, 2, 3], "operation {operation}");
        assert_eq!(payloads(&page), records, "operation {operation}");
        assert_eq!(page.missing, [], "operation {operation}");
    }
}

#[tokio::test]
async fn a_failing_disk_is_tried_again_and_the_log_reports_its_health() {
    let disk = SimulatedDisk::default();
    let log = on(&disk, ROOMY);
    log.append(0, vec![1]).await.unwrap();
    disk.fail(true);
    for _ in 0..3 {
        assert!(log.append(0, vec![2]).await.is_err());
        assert!(log.is_failing());
        assert!(log.require_writable().await.is_err());
    }
    assert_eq!(offsets(&read_all(&log).await), [1], "reading still works");
    disk.fail(false);
    // Health is checked without a record.
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
async fn a_failed_disk_is_not_tried_before_the_retry_interval() {
    let disk = SimulatedDisk::default();
    let patient = LogOptions {
        retry_interval: Duration::from_secs(3600),
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
async fn a_full_disk_loses_nothing_and_the_log_continues_when_there_is_room() {
    let disk = SimulatedDisk::default();
    let log = on(&disk, ROOMY);
    disk.limit(Some(3 * SMALL.max_segment_bytes));
    let mut acknowledged = Vec::new();
    while let Ok(number) = log.append(0, vec![7; 1000]).await {
        acknowledged.push(number);
    }
    assert!(acknowledged.len() > 8);
    assert_eq!(disk.used(), 3 * SMALL.max_segment_bytes);
    // Records that fit into the current file are still appended.
    acknowledged.push(log.append(0, vec![7]).await.unwrap());
    assert!(log.append(0, vec![7; 1000]).await.is_err());
    disk.limit(None);
    acknowledged.push(log.append(0, vec![7; 1000]).await.unwrap());
    disk.cut_power();
    drop(log);
    let page = read_all(&on(&disk, ROOMY)).await;
    assert_eq!((offsets(&page), page.missing), (acknowledged, vec![]));
}

// Another log has given out these numbers; a failed disk must not make this log use them.
#[tokio::test]
async fn numbers_that_a_failed_disk_could_not_skip_are_skipped_later() {
    let disk = SimulatedDisk::default();
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
    let disk = SimulatedDisk::default();
    let options = LogOptions {
        retention: Some(Duration::from_secs(1)),
        ..SMALL
    };
    let log = on(&disk, options);
    disk.watch_readers(log.segments());
    // Files that are empty, too many, too old, and the last ones.
    log.advance(5).await.unwrap();
    log.advance(9).await.unwrap();
    append_each(&log, &vec![vec![7; 1000]; 40]).await;
    log.trim(i64::MAX).await;
    log.advance(0).await.unwrap();
    assert_eq!(disk.files().len(), 1);
    assert!(!disk.blocked_readers());
    log.delete().await.unwrap();
    assert_eq!(disk.files().len(), 0);
    assert!(!disk.blocked_readers());
}

#[derive(Debug, Clone)]
enum Step {
    Append(usize),
    Batch(Vec<usize>),
    PowerCut,
    Restart,
    Probe,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..3000_usize).prop_map(Step::Append),
        3 => prop::collection::vec(0..900_usize, 1..6).prop_map(Step::Batch),
        1 => Just(Step::PowerCut),
        1 => Just(Step::Restart),
        1 => Just(Step::Probe),
    ]
}

/// A payload that differs from every other.
fn payload(count: &mut u32, length: usize) -> Vec<u8> {
    *count += 1;
    let mut payload = count.to_le_bytes().to_vec();
    payload.resize(length.max(4), 0xAB);
    payload
}

/// Every acknowledged record is read once, under its number. Other records may be read too,
/// if they were appended.
async fn assert_holds(log: &EventLog, acknowledged: &BTreeMap<u64, Vec<u8>>) {
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

/// A log on a failing disk, and what it has acknowledged.
struct Run {
    disk: SimulatedDisk,
    log: EventLog,
    count: u32,
    acknowledged: BTreeMap<u64, Vec<u8>>,
}

impl Run {
    fn new(disk: SimulatedDisk) -> Self {
        Self {
            log: on(&disk, ROOMY),
            disk,
            count: 0,
            acknowledged: BTreeMap::new(),
        }
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Append(length) => {
                let payload = payload(&mut self.count, length);
                if let Ok(number) = self.log.append(0, payload.clone()).await {
                    assert_eq!(self.acknowledged.insert(number, payload), None);
                }
            }
            Step::Batch(lengths) => {
                let lengths = lengths.into_iter();
                let batch: Vec<_> = lengths
                    .map(|length| payload(&mut self.count, length))
                    .collect();
                if let Ok(last) = self.log.append_all(0, batch.clone()).await {
                    let first = last + 1 - batch.len() as u64;
                    for (number, payload) in (first..).zip(batch) {
                        assert_eq!(self.acknowledged.insert(number, payload), None);
                    }
                }
            }
            Step::PowerCut => {
                self.reopen(SimulatedDisk::cut_power);
                assert_holds(&self.log, &self.acknowledged).await;
            }
            Step::Restart => self.reopen(|_| {}),
            Step::Probe => drop(self.log.require_writable().await),
        }
    }

    /// Closes the log, then opens it again.
    fn reopen(&mut self, between: impl FnOnce(&SimulatedDisk)) {
        // Another log takes its place, so that the last handle is dropped.
        self.log = on(&SimulatedDisk::default(), ROOMY);
        between(&self.disk);
        self.log = on(&self.disk, ROOMY);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn after_any_failure_acknowledged_records_are_read_and_numbers_are_unique(
        steps in prop::collection::vec(step(), 1..30),
        failing in prop::collection::btree_set(1..120_u64, 0..20),
        chance in any::<u64>(),
    ) {
        run(async {
            let mut run = Run::new(SimulatedDisk::failing(failing, chance));
            for step in steps {
                run.step(step).await;
            }
            assert_holds(&run.log, &run.acknowledged).await;
            run.step(Step::PowerCut).await;
        });
    }
}
