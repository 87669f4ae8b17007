//! A segment of the event log with any content: opened, read and appended to without a panic, and what is appended is read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use store::log::{EventLog, LogOptions};

const OPTIONS: LogOptions = LogOptions { segment_bytes: 4096, segments: 2 };

fuzz_target!(|data: &[u8]| {
    let Ok(folder) = tempfile::tempdir() else { return };
    let segment = folder.path().join("00000000000000000001.log");
    if std::fs::write(segment, data).is_err() {
        return;
    }
    let Ok(log) = EventLog::open_at(folder.path().to_owned(), OPTIONS) else { return };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else { return };
    runtime.block_on(async {
        if let Ok(offset) = log.append(b"after".to_vec()).await
            && let Ok(records) = log.read(offset - 1, 1).await
        {
            assert_eq!(records.first().map(|record| record.payload.as_slice()), Some(&b"after"[..]));
        }
    });
});
