//! One file of the log: a header page, then frames, then zeros.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::disk::{Disk, DiskFile};
use crate::error::EventLogError;

mod header;
mod name;
mod scan;

pub(crate) use header::SegmentHeader;
pub(crate) use name::SegmentName;
pub(crate) use scan::FrameScanner;

/// Bytes of a page. Frames begin after the first one, which is the header.
pub(crate) const PAGE: u64 = 4096;
/// The position of one in so many records is remembered, so that a read begins near its first one.
const INDEX_INTERVAL: u64 = 256;
/// Bytes that are read at once.
const READ_BYTES: usize = 64 * 1024;

pub(crate) struct Segment {
    pub(crate) name: SegmentName,
    pub(crate) file: Box<dyn DiskFile>,
    pub(crate) path: PathBuf,
    /// Size of the file.
    pub(crate) bytes: u64,
    /// Where the frames end; the size of a file that is no longer written to.
    end: AtomicU64,
    /// When the first and the newest record were appended, in ticks; `i64::MIN`
    /// when that is unknown.
    oldest: AtomicI64,
    newest: AtomicI64,
    /// (number, position) of some records, ascending.
    index: Mutex<Vec<(u64, u64)>>,
}

impl Segment {
    /// Makes a file of zeros with a header.
    pub(crate) fn create(
        disk: &dyn Disk,
        folder: &Path,
        name: SegmentName,
        bytes: u64,
        header: SegmentHeader,
    ) -> Result<Self, EventLogError> {
        let path = name.path_in(folder);
        let file = disk
            .create(&path, &header.encode(name.salt), bytes)
            .map_err(|error| EventLogError::new("beginning", &path, error))?;
        Ok(Self::new(name, file, path, bytes, PAGE))
    }

    /// Opens a file that is no longer written to, unless [`set_end`](Self::set_end) is called. The
    /// header is `None` when it is damaged.
    pub(crate) fn open(
        disk: &dyn Disk,
        name: SegmentName,
        path: PathBuf,
    ) -> Result<(Self, Option<SegmentHeader>), EventLogError> {
        let open = || {
            let file = disk.open(&path)?;
            let bytes = file.len()?;
            let mut page = [0; header::HEADER_BYTES];
            // A page that cannot be read is a damaged page.
            let got = file.read_at(&mut page, 0).unwrap_or_default();
            Ok((file, bytes, SegmentHeader::decode(name.salt, &page[..got])))
        };
        let (file, bytes, header) =
            open().map_err(|error| EventLogError::new("opening", &path, error))?;
        let segment = Self::new(name, file, path, bytes, bytes);
        if let Some(header) = header {
            segment.newest.store(header.newest, Ordering::Relaxed);
        }
        Ok((segment, header))
    }

    fn new(
        name: SegmentName,
        file: Box<dyn DiskFile>,
        path: PathBuf,
        bytes: u64,
        end: u64,
    ) -> Self {
        Self {
            name,
            file,
            path,
            bytes,
            end: AtomicU64::new(end),
            oldest: AtomicI64::new(i64::MIN),
            newest: AtomicI64::new(i64::MIN),
            index: Mutex::default(),
        }
    }

    pub(crate) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    /// Bytes that still fit.
    pub(crate) fn free_bytes(&self) -> u64 {
        self.bytes.saturating_sub(self.end())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.end() <= PAGE
    }

    /// When the newest record was appended, if that is known.
    pub(crate) fn newest(&self) -> Option<i64> {
        Some(self.newest.load(Ordering::Relaxed)).filter(|at| *at != i64::MIN)
    }

    /// When the first record was appended, if that is known.
    pub(crate) fn oldest(&self) -> Option<i64> {
        Some(self.oldest.load(Ordering::Relaxed)).filter(|at| *at != i64::MIN)
    }

    /// Lets readers see records up to `end`. The first and the newest of the added ones were
    /// appended at `oldest` and `newest`.
    pub(crate) fn set_end(&self, end: u64, oldest: i64, newest: i64) {
        if self.oldest().is_none() {
            self.oldest.store(oldest, Ordering::Relaxed);
        }
        self.newest.fetch_max(newest, Ordering::Relaxed);
        self.end.store(end, Ordering::Release);
    }

    /// Remembers the position of a record, if it is one of those that are remembered.
    pub(crate) fn add_to_index(&self, number: u64, position: u64) {
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        let last = index.last();
        if last.is_none_or(|(last, _)| number >= last.saturating_add(INDEX_INTERVAL)) {
            index.push((number, position));
        }
    }

    /// A position at or before a record.
    pub(crate) fn position_before(&self, number: u64) -> u64 {
        let index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        let after = index.partition_point(|(indexed, _)| *indexed <= number);
        after.checked_sub(1).map_or(PAGE, |at| index[at].1)
    }

    /// Whether only zeros follow a position, as far as they can be read.
    pub(crate) fn is_zero_from(&self, mut position: u64) -> bool {
        let mut buffer = vec![0; READ_BYTES];
        loop {
            match self.file.read_at(&mut buffer, position) {
                Ok(0) => return true,
                Ok(got) if buffer[..got].iter().all(|byte| *byte == 0) => position += got as u64,
                Ok(_) | Err(_) => return false,
            }
        }
    }

    /// Like [`DiskFile::read_at`], but a page that cannot be read becomes zeros, as long as others
    /// can be read: it costs the records in it. A disk of which nothing can be read is an error,
    /// because it may come back.
    fn read_around_bad_pages(&self, buffer: &mut [u8], at: u64) -> std::io::Result<usize> {
        let failure = match self.file.read_at(buffer, at) {
            Err(error) => error,
            read => return read,
        };
        let left = usize::try_from(self.bytes.saturating_sub(at)).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        let readable = self.read_page_by_page(&mut buffer[..wanted], at);
        if !readable && self.file.read_at(&mut [0; 1], 0).is_err() {
            return Err(failure);
        }
        tracing::warn!(
            file = %self.path.display(),
            position = at,
            error = %failure,
            "a part of the event log cannot be read; its records are missing"
        );
        Ok(wanted)
    }

    /// Whether any page could be read.
    fn read_page_by_page(&self, buffer: &mut [u8], at: u64) -> bool {
        let (mut from, mut readable) = (0, false);
        while from < buffer.len() {
            let position = at + from as u64;
            let to_page = usize::try_from(PAGE - position % PAGE).unwrap_or(buffer.len());
            let end = buffer.len().min(from + to_page);
            let page = &mut buffer[from..end];
            match self.file.read_at(page, position) {
                Ok(got) => {
                    readable = true;
                    page[got..].fill(0);
                }
                Err(_) => page.fill(0),
            }
            from = end;
        }
        readable
    }
}
