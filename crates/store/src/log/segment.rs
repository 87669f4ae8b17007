use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Error, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::LogOptions;
use super::frame::{self, HEADER};
use crate::{OpenError, StoreError};

/// One place is remembered for so many records, so that a read begins near its first one.
const MARK_EVERY: u64 = 256;

/// One file of the log: records from `first` on, then zeros.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) first: u64,
    pub(crate) file: File,
    pub(crate) path: PathBuf,
    /// (number, position) of some records, ascending.
    marks: Mutex<Vec<(u64, u64)>>,
}

/// Where the next record goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tail {
    pub(crate) next_offset: u64,
    pub(crate) position: u64,
}

impl Segment {
    fn path(folder: &Path, first: u64) -> PathBuf {
        folder.join(format!("{first:020}.log"))
    }

    /// Begins a segment: its bytes are written now, so that an append changes no metadata and fdatasync stays cheap.
    pub(crate) fn create(folder: &Path, first: u64, bytes: u64) -> Result<Self, StoreError> {
        let path = Self::path(folder, first);
        let failed = |error| StoreError::io("beginning", &path, error);
        let unfinished = path.with_extension("new");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&unfinished)
            .map_err(failed)?;
        let filled = fill(&mut file, bytes).and_then(|()| std::fs::rename(&unfinished, &path));
        if let Err(error) = filled.and_then(|()| File::open(folder)?.sync_all()) {
            // A disk that is full shall not stay full because of the attempt.
            let _ = std::fs::remove_file(&unfinished);
            return Err(failed(error));
        }
        Ok(Self {
            first,
            file,
            path,
            marks: Mutex::default(),
        })
    }

    fn open(path: PathBuf, first: u64) -> Result<Self, OpenError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .map_err(OpenError::io("opening", &path))?;
        Ok(Self {
            first,
            file,
            path,
            marks: Mutex::default(),
        })
    }

    /// Remembers where a record is, when it is one of those remembered.
    pub(crate) fn mark(&self, offset: u64, position: u64) {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        if marks
            .last()
            .is_none_or(|(last, _)| offset >= last + MARK_EVERY)
        {
            marks.push((offset, position));
        }
    }

    /// A record at or before `offset`, and its position.
    pub(crate) fn near(&self, offset: u64) -> (u64, u64) {
        let marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        let after = marks.partition_point(|(marked, _)| *marked <= offset);
        after
            .checked_sub(1)
            .map_or((self.first, 0), |index| marks[index])
    }
}

fn fill(file: &mut File, bytes: u64) -> std::io::Result<()> {
    let zeros = vec![0; 1 << 18];
    let mut left = bytes;
    while left > 0 {
        let some = zeros.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        file.write_all(&zeros[..some])?;
        left -= some as u64;
    }
    file.sync_all()
}

/// Opens the segments of a folder, oldest first, and finds the end of the last one. Begins a segment when there is none.
pub(crate) fn recover(
    folder: &Path,
    options: LogOptions,
) -> Result<(Vec<Arc<Segment>>, Tail), OpenError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(OpenError::io("creating directory", folder))?;
    let mut segments = Vec::new();
    for first in names(folder).map_err(OpenError::io("listing", folder))? {
        segments.push(Arc::new(Segment::open(
            Segment::path(folder, first),
            first,
        )?));
    }
    let tail = match segments.last() {
        Some(last) => find_tail(last).map_err(OpenError::io("recovering", &last.path))?,
        None => {
            segments.push(Arc::new(Segment::create(folder, 1, options.segment_bytes)?));
            Tail {
                next_offset: 1,
                position: 0,
            }
        }
    };
    Ok((segments, tail))
}

fn names(folder: &Path) -> std::io::Result<Vec<u64>> {
    let mut firsts = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        match path.extension().and_then(|extension| extension.to_str()) {
            // A segment that was being begun when the process ended.
            Some("new") => std::fs::remove_file(&path)?,
            Some("log") => {
                let stem = path.file_stem().and_then(|stem| stem.to_str());
                firsts.extend(
                    stem.and_then(|stem| stem.parse::<u64>().ok())
                        .filter(|first| *first > 0),
                );
            }
            _ => {}
        }
    }
    firsts.sort_unstable();
    Ok(firsts)
}

/// Scans to the first frame that is not whole, and clears what is behind it: a later frame that happens to be whole must not
/// come back to life when new records grow up to it.
fn find_tail(segment: &Segment) -> std::io::Result<Tail> {
    let size = usize::try_from(segment.file.metadata()?.len())
        .map_err(|_| Error::new(ErrorKind::FileTooLarge, "the segment is larger than memory"))?;
    let mut bytes = vec![0; size];
    segment.file.read_exact_at(&mut bytes, 0)?;
    let mut tail = Tail {
        next_offset: segment.first,
        position: 0,
    };
    let mut at = 0;
    while let Some(payload) = frame::decode(&bytes[at..], tail.next_offset) {
        segment.mark(tail.next_offset, tail.position);
        at += HEADER + payload.len();
        tail = Tail {
            next_offset: tail.next_offset + 1,
            position: at as u64,
        };
    }
    if bytes[at..].iter().any(|byte| *byte != 0) {
        tracing::warn!(
            file = %segment.path.display(), position = at, record = tail.next_offset,
            "the event log ends in an unfinished record; it was not acknowledged and is dropped"
        );
        segment
            .file
            .write_all_at(&vec![0; size - at], tail.position)?;
        segment.file.sync_data()?;
    }
    Ok(tail)
}
