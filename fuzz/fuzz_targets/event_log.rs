//! A file of an event log with any content, and one of version 1:
//! opened, read and appended to without a panic; what is appended is read, under a number that
//! the file does not hold.
#![no_main]

use std::path::Path;
use std::time::Duration;

use events::{EventLog, LogOptions, v1};
use libfuzzer_sys::fuzz_target;

const OPTIONS: LogOptions = LogOptions {
    max_segment_bytes: 8192,
    max_bytes: 1 << 20,
    retention: None,
    retry_interval: Duration::ZERO,
};

fuzz_target!(|data: &[u8]| {
    let Ok(folder) = tempfile::tempdir() else { return };
    read_v1(folder.path(), data);
    // The salt of the checksums is 1, as in the seeds.
    let file = folder.path().join("hub/0000000001-00000000000000000001-0000000000000001.log2");
    let made = std::fs::create_dir(folder.path().join("hub"));
    if made.and_then(|()| std::fs::write(&file, data)).is_err() {
        return;
    }
    let Ok(log) = EventLog::open(folder.path().join("hub"), OPTIONS, 7) else { return };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else { return };
    runtime.block_on(async {
        let Ok(before) = log.read(0, 100).await else { return };
        let Ok(number) = log.append(0, b"after".to_vec()).await else { return };
        assert!(before.records.iter().all(|record| record.offset < number));
        let page = log.read(number - 1, 1).await.unwrap_or_default();
        assert_eq!(page.records.first().map(|record| record.payload.as_slice()), Some(&b"after"[..]));
    });
});

fn read_v1(folder: &Path, data: &[u8]) {
    if std::fs::write(folder.join("00000000000000000001.log"), data).is_err() {
        return;
    }
    for file in v1::files(folder).unwrap_or_default() {
        let Ok(read) = file.read() else { continue };
        let numbers: Vec<_> = read.records.iter().map(|(number, _)| *number).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b));
        assert!(numbers.iter().all(|number| *number < read.next));
    }
}
