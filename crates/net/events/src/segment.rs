//! One file of the log: a first page that says which numbers were given out, then records, then zeros.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::disk::{self, Disk, DiskFile};
use crate::error::EventLogError;
use crate::frame::{self, HEAD, Head};

/// Records begin behind the first page, which is written again and again.
pub(crate) const PAGE: u64 = 4096;
/// One place is remembered for so many records, so that a read begins near its first one.
const PLACE_EVERY: u64 = 256;
/// Bytes that are read at once.
const CHUNK: usize = 64 * 1024;
/// Bytes of the first page that say something.
const MARK: usize = 44;
const MAGIC: &[u8; 8] = b"MSTREVT2";
const EXTENSION: &str = "log2";

/// What the first page says. It is written with every group of records and synced with them: when the last records are
/// damaged, it still tells that their numbers were given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    /// No smaller number may be given out.
    pub(crate) next: u64,
    /// The last number that was given out.
    pub(crate) previous: u64,
    /// When the newest record was appended, ticks; `i64::MIN` when there is none.
    pub(crate) newest: i64,
    /// First number of the file that follows, 0 while there is none: that file cannot disappear unnoticed.
    pub(crate) successor: u64,
}

impl Mark {
    pub(crate) fn encode(&self, salt: u64) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&self.next.to_le_bytes());
        bytes.extend_from_slice(&self.previous.to_le_bytes());
        bytes.extend_from_slice(&self.newest.to_le_bytes());
        bytes.extend_from_slice(&self.successor.to_le_bytes());
        let crc = frame::checksum(salt, &bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn decode(salt: u64, bytes: &[u8]) -> Option<Self> {
        let (checked, crc) = bytes.split_at_checked(MARK - 4)?;
        let (magic, fields) = checked.split_first_chunk::<8>()?;
        let (next, fields) = fields.split_first_chunk::<8>()?;
        let (previous, fields) = fields.split_first_chunk::<8>()?;
        let (newest, successor) = fields.split_first_chunk::<8>()?;
        let crc = u32::from_le_bytes(*crc.first_chunk::<4>()?);
        let is_whole = magic == MAGIC && crc == frame::checksum(salt, checked);
        is_whole.then_some(Self {
            next: u64::from_le_bytes(*next),
            previous: u64::from_le_bytes(*previous),
            newest: i64::from_le_bytes(*newest),
            successor: u64::from_le_bytes(*successor.first_chunk::<8>()?),
        })
    }
}

/// One file of the log.
pub(crate) struct Segment {
    /// Files follow each other in this order.
    pub(crate) serial: u64,
    /// No record in it has a smaller number.
    pub(crate) first: u64,
    pub(crate) salt: u64,
    pub(crate) file: Box<dyn DiskFile>,
    pub(crate) path: PathBuf,
    /// Size of the file.
    pub(crate) bytes: u64,
    /// Records end here; of a file that is not written to any more, its size.
    end: AtomicU64,
    /// When its first and its newest record were appended, as far as that is known.
    oldest: AtomicI64,
    newest: AtomicI64,
    /// (number, position) of some records, ascending.
    places: Mutex<Vec<(u64, u64)>>,
}

/// A file's name, read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Named {
    serial: u64,
    first: u64,
    salt: u64,
    path: PathBuf,
}

impl Named {
    /// What a path in the folder of a log is; `None` when it is none of the log's.
    pub(crate) fn read(path: &Path) -> std::io::Result<Option<Self>> {
        let text =
            |part: Option<&std::ffi::OsStr>| part.and_then(|part| part.to_str()).map(str::to_owned);
        match text(path.extension()).as_deref() {
            Some(EXTENSION) => {}
            Some(other) if other.starts_with("log") => return Err(disk::unknown_name(path)),
            _ => return Ok(None),
        }
        let stem = text(path.file_stem()).unwrap_or_default();
        let mut parts = stem.splitn(3, '-');
        let mut read = || {
            let (serial, first, salt) = (parts.next()?, parts.next()?, parts.next()?);
            Some(Self {
                serial: serial.parse().ok()?,
                first: first.parse().ok().filter(|first| *first > 0)?,
                salt: u64::from_str_radix(salt, 16).ok()?,
                path: path.to_owned(),
            })
        };
        Ok(read())
    }
}

impl Segment {
    /// Begins a file.
    pub(crate) fn create(
        disk: &dyn Disk,
        folder: &Path,
        (serial, first, salt): (u64, u64, u64),
        bytes: u64,
        mark: Mark,
    ) -> Result<Self, EventLogError> {
        let path = folder.join(format!("{serial:010}-{first:020}-{salt:016x}.{EXTENSION}"));
        let file = disk
            .create(&path, &mark.encode(salt), bytes)
            .map_err(|error| EventLogError::new("beginning", &path, error))?;
        Ok(Self {
            serial,
            first,
            salt,
            file,
            path,
            bytes,
            end: AtomicU64::new(PAGE),
            oldest: AtomicI64::new(i64::MIN),
            newest: AtomicI64::new(i64::MIN),
            places: Mutex::default(),
        })
    }

    /// Opens a file that is not written to any more, unless [`ends_at`](Self::ends_at) says otherwise.
    pub(crate) fn open(
        disk: &dyn Disk,
        named: Named,
    ) -> Result<(Self, Option<Mark>), EventLogError> {
        let Named {
            serial,
            first,
            salt,
            path,
        } = named;
        let read = || {
            let file = disk.open(&path)?;
            let bytes = file.len()?;
            let mut page = [0; MARK];
            // A page that cannot be read is a page that is damaged.
            let got = file.read_at(&mut page, 0).unwrap_or_default();
            Ok((file, bytes, Mark::decode(salt, &page[..got])))
        };
        let (file, bytes, mark) =
            read().map_err(|error| EventLogError::new("opening", &path, error))?;
        let segment = Self {
            serial,
            first,
            salt,
            file,
            path,
            bytes,
            end: AtomicU64::new(bytes),
            oldest: AtomicI64::new(i64::MIN),
            newest: AtomicI64::new(mark.map_or(i64::MIN, |mark| mark.newest)),
            places: Mutex::default(),
        };
        Ok((segment, mark))
    }

    pub(crate) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    pub(crate) fn room(&self) -> u64 {
        self.bytes.saturating_sub(self.end())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.end() <= PAGE
    }

    /// When its newest record was appended, as far as that is known.
    pub(crate) fn newest(&self) -> Option<i64> {
        Some(self.newest.load(Ordering::Relaxed)).filter(|at| *at != i64::MIN)
    }

    /// When its first record was appended, as far as that is known.
    pub(crate) fn oldest(&self) -> Option<i64> {
        Some(self.oldest.load(Ordering::Relaxed)).filter(|at| *at != i64::MIN)
    }

    /// Records now end at `end`; the newest was appended at `newest`.
    pub(crate) fn ends_at(&self, end: u64, oldest: i64, newest: i64) {
        if self.oldest().is_none() {
            self.oldest.store(oldest, Ordering::Relaxed);
        }
        self.newest.fetch_max(newest, Ordering::Relaxed);
        self.end.store(end, Ordering::Release);
    }

    /// Remembers where a record is, when it is one of those remembered.
    pub(crate) fn place(&self, number: u64, position: u64) {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let last = places.last();
        if last.is_none_or(|(last, _)| number >= last.saturating_add(PLACE_EVERY)) {
            places.push((number, position));
        }
    }

    /// Where to begin to look for a record: at or before it.
    pub(crate) fn near(&self, number: u64) -> u64 {
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let after = places.partition_point(|(placed, _)| *placed <= number);
        after.checked_sub(1).map_or(PAGE, |index| places[index].1)
    }

    /// Whether there are only zeros from a position on, as far as that can be read.
    pub(crate) fn is_zero_from(&self, mut position: u64) -> bool {
        let mut buffer = vec![0; CHUNK];
        loop {
            match self.file.read_at(&mut buffer, position) {
                Ok(0) => return true,
                Ok(got) if buffer[..got].iter().all(|byte| *byte == 0) => position += got as u64,
                Ok(_) | Err(_) => return false,
            }
        }
    }

    /// Fills `buffer` from a place on, as [`DiskFile::read_at`] does. Pages of the disk that cannot be read become zeros, as long
    /// as others can: they cost the records in them and no others. A disk of which nothing can be read is a failure: it may come
    /// back.
    fn read_at(&self, buffer: &mut [u8], at: u64) -> std::io::Result<usize> {
        let failure = match self.file.read_at(buffer, at) {
            Err(error) => error,
            read => return read,
        };
        let left = usize::try_from(self.bytes.saturating_sub(at)).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        let (mut from, mut readable) = (0, false);
        while from < wanted {
            let place = at + from as u64;
            let to_page = usize::try_from(PAGE - place % PAGE).unwrap_or(wanted);
            let page = &mut buffer[from..wanted.min(from + to_page)];
            from += page.len();
            match self.file.read_at(page, place) {
                Ok(got) => {
                    readable = true;
                    page[got..].fill(0);
                }
                Err(_) => page.fill(0),
            }
        }
        if !readable && self.file.read_at(&mut [0; 1], 0).is_err() {
            return Err(failure);
        }
        tracing::warn!(file = %self.path.display(), position = at, error = %failure, "a part of the event log cannot be read; its records are missing");
        Ok(wanted)
    }
}

/// A frame that was met.
pub(crate) struct Met<'w> {
    pub(crate) head: Head,
    pub(crate) position: u64,
    /// `None` when the payload is damaged.
    pub(crate) payload: Option<&'w [u8]>,
}

/// Goes from frame to frame. What is no frame is passed over, to the next one that is.
pub(crate) struct Walk<'s> {
    segment: &'s Segment,
    position: u64,
    end: u64,
    /// Numbers that may still come.
    numbers: Range<u64>,
    buffer: Vec<u8>,
    /// Where the buffer's first byte is in the file.
    base: u64,
    /// Bytes read.
    pub(crate) read: u64,
}

impl<'s> Walk<'s> {
    /// From `position` on, over frames whose numbers are among `numbers`.
    pub(crate) fn new(segment: &'s Segment, position: u64, numbers: Range<u64>) -> Self {
        Self {
            segment,
            position,
            end: segment.end(),
            numbers,
            buffer: Vec::new(),
            base: position,
            read: 0,
        }
    }

    /// The next frame; `None` when there is none.
    pub(crate) fn step(&mut self) -> std::io::Result<Option<Met<'_>>> {
        let Some(head) = self.find_head()? else {
            return Ok(None);
        };
        let (salt, position) = (self.segment.salt, self.position);
        self.numbers.start = head.number + 1;
        // What is cut off at the end of the file does not fit its checksum.
        let range = self.window(HEAD + head.length)?;
        self.position = position + head.frame();
        let payload = self.buffer[range].get(HEAD..).unwrap_or_default();
        Ok(Some(Met {
            head,
            position,
            payload: head.fits(salt, payload).then_some(payload),
        }))
    }

    fn find_head(&mut self) -> std::io::Result<Option<Head>> {
        let range = self.window(HEAD)?;
        if let Some(head) = self.head_at(range.start) {
            return Ok(Some(head));
        }
        loop {
            let range = self.window(CHUNK)?;
            if range.len() < HEAD {
                return Ok(None);
            }
            let last = range.end - HEAD;
            let mut at = range.start;
            while at <= last {
                if let Some(head) = self.head_at(at) {
                    self.position += (at - range.start) as u64;
                    return Ok(Some(head));
                }
                at += match self.buffer[at..range.end]
                    .iter()
                    .position(|byte| *byte != 0)
                {
                    // A head may begin with zeros, but not with so many.
                    Some(zeros) => zeros.saturating_sub(HEAD).max(1),
                    None => range.end - at,
                };
            }
            self.position += (at.min(last + 1) - range.start) as u64;
        }
    }

    fn head_at(&self, at: usize) -> Option<Head> {
        frame::head(self.segment.salt, self.buffer.get(at..)?)
            .filter(|head| self.numbers.contains(&head.number))
    }

    /// Where the buffer holds up to `wanted` bytes from the position on; fewer at the end.
    fn window(&mut self, wanted: usize) -> std::io::Result<Range<usize>> {
        let left = usize::try_from(self.end.saturating_sub(self.position)).unwrap_or(usize::MAX);
        let wanted = wanted.min(left);
        let from = usize::try_from(self.position - self.base).unwrap_or(usize::MAX);
        if from.saturating_add(wanted) <= self.buffer.len() {
            return Ok(from..from + wanted);
        }
        self.buffer.resize(wanted.max(CHUNK.min(left)), 0);
        let got = self.segment.read_at(&mut self.buffer, self.position)?;
        self.buffer.truncate(got);
        self.base = self.position;
        self.read += got as u64;
        Ok(0..wanted.min(got))
    }
}
