//! Old files are deleted, and no others.

use super::*;

#[tokio::test]
async fn old_files_are_deleted_and_reading_begins_at_the_oldest_kept() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    append_each(&log, &vec![vec![7; 1000]; 20]).await;
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
    assert_eq!(log.bytes(), 3 * 8192);
    let page = log.read(0, 100).await.unwrap();
    let kept = offsets(&page);
    assert_eq!(kept.last(), Some(&20));
    assert!(kept.len() < 20 && kept.windows(2).all(|pair| pair[1] == pair[0] + 1));
    assert_eq!(page.missing, [], "deleted records are not missing");
    drop(log);
    let again = open(folder.path()).read(0, 100).await.unwrap();
    assert_eq!(offsets(&again), kept);
}

#[tokio::test]
async fn records_older_than_the_retention_are_deleted_also_without_appends() {
    let folder = tempfile::tempdir().unwrap();
    let options = LogOptions {
        retention: Some(Duration::from_secs(100)),
        max_bytes: u64::MAX,
        ..SMALL
    };
    let second = 10_000_000;
    let log = EventLog::open(folder.path().to_owned(), options, SEED).unwrap();
    for at in 0..60 {
        log.append(at * second, vec![0; 500]).await.unwrap();
    }
    let kept = async |now: i64| {
        log.trim(now * second).await;
        // The writer runs one job after the other.
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
    let log = EventLog::open(folder.path().to_owned(), options, SEED).unwrap();
    assert_eq!(log.append(170 * second, vec![1]).await.unwrap(), 61);
}

// The bound of the size must not delete records before their time: the files that are closed by age
// all fit, however small the log is.
#[tokio::test]
async fn a_small_log_of_few_records_keeps_them_for_its_retention() {
    let (hour, day) = (36_000_000_000, 24_i64);
    for mib in [1, 2, 10] {
        let disk = SimulatedDisk::default();
        let keep = Duration::from_secs(3600 * 10 * day.unsigned_abs());
        let log = on(&disk, LogOptions::with_retention(mib << 20, Some(keep)));
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

#[tokio::test]
async fn a_deleted_log_leaves_no_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hub");
    let log = EventLog::open(path.clone(), SMALL, SEED).unwrap();
    append_each(&log, &vec![vec![1; 3000]; 4]).await;
    log.delete().await.unwrap();
    assert!(!path.exists());
    assert!(log.append(0, vec![1]).await.is_err());
}
