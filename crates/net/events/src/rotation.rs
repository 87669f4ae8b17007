//! Which files the log has: begins, closes and deletes them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::disk::Disk;
use crate::error::EventLogError;
use crate::options::LogOptions;
use crate::recover::{RecoveredLog, Tail};
use crate::segment::{PAGE, Segment, SegmentHeader, SegmentName};
use crate::segment_list::{SegmentList, total_bytes};

/// Size of the first file. The next are as large as all before them
/// together, up to [`LogOptions::max_segment_bytes`].
const FIRST_BYTES: u64 = 1 << 20;
/// A file is closed once its first record is older than this part of the retention: files are
/// deleted as a whole.
const CLOSE_AFTER_PARTS: u32 = 10;

pub(crate) struct Rotation {
    disk: Arc<dyn Disk>,
    folder: Arc<Path>,
    options: LogOptions,
    segments: Arc<SegmentList>,
    /// The file that is written to; `None` when the next record begins a file.
    current: Option<Arc<Segment>>,
    next_serial: u64,
    /// Serial of the first file that this process began.
    first_serial: u64,
    salts: Salts,
}

impl Rotation {
    /// `seed` is fresh randomness.
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        folder: Arc<Path>,
        options: LogOptions,
        recovered: RecoveredLog,
        seed: u64,
    ) -> Self {
        let last = recovered.segments.last();
        let next_serial = last.map_or(1, |last| last.name.serial + 1);
        Self {
            disk,
            folder,
            options,
            segments: Arc::new(SegmentList::new(recovered.segments)),
            current: recovered.current,
            next_serial,
            first_serial: next_serial,
            salts: Salts(seed),
        }
    }

    pub(crate) fn segments(&self) -> Arc<SegmentList> {
        self.segments.clone()
    }

    /// Bytes of frames that go into one file with the next append, which has `first` bytes.
    pub(crate) fn room_for(&self, first: u64) -> u64 {
        match &self.current {
            Some(current) if first <= current.free_bytes() => current.free_bytes(),
            _ => self.size_of_next(first) - PAGE,
        }
    }

    /// The file that has room for `needed` bytes; otherwise begins one.
    pub(crate) fn segment_for(
        &mut self,
        needed: u64,
        tail: Tail,
    ) -> Result<Arc<Segment>, EventLogError> {
        match &self.current {
            Some(current) if needed <= current.free_bytes() => Ok(current.clone()),
            _ => self.begin(needed, tail),
        }
    }

    /// Lets the next record begin a file.
    pub(crate) fn close_current(&mut self) {
        self.current = None;
    }

    /// Begins a file, and deletes old ones that are too many then.
    pub(crate) fn begin(&mut self, needed: u64, tail: Tail) -> Result<Arc<Segment>, EventLogError> {
        let name = SegmentName {
            serial: self.next_serial,
            first: tail.next,
            salt: self.salts.next(),
        };
        let header = SegmentHeader {
            next: tail.next,
            previous: tail.previous,
            newest: i64::MIN,
            successor: 0,
        };
        let size = self.size_of_next(needed);
        let segment = Segment::create(&*self.disk, &self.folder, name, size, header)?;
        let begun = Arc::new(segment);
        self.next_serial += 1;
        if let Some(last) = self.segments.last()
            && !self.was_left_empty(&last)
        {
            write_successor(&last, tail);
        }
        let max_bytes = self.options.max_bytes;
        let removed = self.segments.update(|segments| {
            let empty = segments.pop_if(|last| self.was_left_empty(last));
            segments.push(begun.clone());
            let mut total = total_bytes(segments);
            let mut count = 0;
            while total > max_bytes && count + 1 < segments.len() {
                total -= segments[count].bytes;
                count += 1;
            }
            segments.drain(..count).chain(empty).collect()
        });
        self.delete_files(removed);
        self.current = Some(begun.clone());
        Ok(begun)
    }

    /// Closes or deletes files that are older than the retention at `now`, in ticks. The error is
    /// that of the file that has to be begun when the last one is too old.
    pub(crate) fn trim(&mut self, now: i64, tail: Tail) -> Result<(), EventLogError> {
        let (Some(retention), Some(last)) = (self.options.retention, self.segments.last()) else {
            return Ok(());
        };
        let oldest_kept = now.saturating_sub(ticks(retention));
        let oldest_open = now.saturating_sub(ticks(retention / CLOSE_AFTER_PARTS));
        let mut begun = Ok(());
        if last.newest().is_some_and(|newest| newest < oldest_kept) {
            // The name of an empty file keeps the number.
            begun = self.begin(0, tail).map(drop);
        } else if last.oldest().is_some_and(|oldest| oldest < oldest_open) {
            self.close_current();
        }
        let removed = self.segments.update(|segments| {
            let is_old =
                |segment: &Arc<Segment>| segment.newest().is_some_and(|at| at < oldest_kept);
            let old = segments.iter().take_while(|segment| is_old(segment));
            // The last file always stays.
            let count = old.count().min(segments.len().saturating_sub(1));
            segments.drain(..count).collect()
        });
        self.delete_files(removed);
        begun
    }

    pub(crate) fn delete_all(&mut self) {
        self.close_current();
        let removed = self.segments.update(std::mem::take);
        self.delete_files(removed);
        if let Err(error) = self.disk.remove_folder(&self.folder) {
            tracing::warn!(
                folder = %self.folder.display(),
                %error,
                "the folder of an event log stays on disk"
            );
        }
    }

    fn size_of_next(&self, needed: u64) -> u64 {
        let usual = self.segments.bytes().max(FIRST_BYTES);
        usual.min(self.options.max_segment_bytes).max(PAGE + needed)
    }

    /// Whether this process began the file and wrote no record to it. A file that was found without
    /// records may have had some.
    fn was_left_empty(&self, segment: &Segment) -> bool {
        segment.name.serial >= self.first_serial && segment.is_empty()
    }

    fn delete_files(&self, segments: Vec<Arc<Segment>>) {
        for segment in segments {
            if let Err(error) = self.disk.remove(&segment.path) {
                tracing::warn!(
                    file = %segment.path.display(),
                    %error,
                    "an old file of the event log stays on disk"
                );
            }
        }
    }
}

/// Writes into a file's header that another one follows. It helps only if that file disappears; the
/// numbers are right without it.
fn write_successor(last: &Segment, tail: Tail) {
    let header = SegmentHeader {
        next: tail.next,
        previous: tail.previous,
        newest: last.newest().unwrap_or(i64::MIN),
        successor: tail.next,
    };
    let written = last.file.write_at(&header.encode(last.name.salt), 0);
    if let Err(error) = written.and_then(|()| last.file.sync()) {
        tracing::debug!(
            file = %last.path.display(),
            %error,
            "a file of the event log does not name the next one"
        );
    }
}

/// Units of 100 ns.
fn ticks(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos() / 100).unwrap_or(i64::MAX)
}

/// Numbers that cannot be guessed without the seed (SplitMix64).
struct Salts(u64);

impl Salts {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut salt = self.0;
        salt = (salt ^ (salt >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        salt = (salt ^ (salt >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        salt ^ (salt >> 31)
    }
}
