//! Opening a log: finds its files and the end of the last one. Nothing is written.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::Disk;
use crate::error::EventLogError;
use crate::frame::HEADER_BYTES;
use crate::options::LogOptions;
use crate::segment::{FrameScanner, PAGE, Segment, SegmentHeader, SegmentName};

/// The numbers of the next record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tail {
    /// The lowest number that the next record may get.
    pub(crate) next: u64,
    /// The number that was given out before, 0 for none. Readers find it missing when
    /// it is not there.
    pub(crate) previous: u64,
}

pub(crate) struct RecoveredLog {
    /// The segments of the log, oldest first.
    pub(crate) segments: Vec<Arc<Segment>>,
    pub(crate) tail: Tail,
    /// The last file, when it may be written to. A file that ends in anything but zeros is
    /// left as it is.
    pub(crate) current: Option<Arc<Segment>>,
}

pub(crate) fn recover(
    disk: &dyn Disk,
    folder: &Path,
    options: LogOptions,
) -> Result<RecoveredLog, EventLogError> {
    disk.make_folder(folder)
        .map_err(|error| EventLogError::new("creating directory", folder, error))?;
    let mut segments = Vec::new();
    let mut header = None;
    let files = list(disk, folder).map_err(|error| EventLogError::new("listing", folder, error))?;
    for (name, path) in files {
        let (segment, found) = Segment::open(disk, name, path)?;
        header = found;
        segments.push(Arc::new(segment));
    }
    let Some(last) = segments.last().cloned() else {
        let (next, previous) = (1, 0);
        return Ok(RecoveredLog {
            segments,
            tail: Tail { next, previous },
            current: None,
        });
    };
    let (tail, continues) = recover_tail(&last, header, options)
        .map_err(|error| EventLogError::new("recovering", &last.path, error))?;
    Ok(RecoveredLog {
        segments,
        tail,
        current: continues.then_some(last),
    })
}

/// The files of a log in their order. A file whose creation did not end is deleted.
fn list(disk: &dyn Disk, folder: &Path) -> std::io::Result<Vec<(SegmentName, PathBuf)>> {
    let mut files = Vec::new();
    for path in disk.list(folder)? {
        if path.extension().is_some_and(|extension| extension == "new") {
            disk.remove(&path)?;
        } else if let Some(name) = SegmentName::parse(&path)? {
            files.push((name, path));
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// Where the log continues, and whether that is in its last file.
fn recover_tail(
    last: &Segment,
    header: Option<SegmentHeader>,
    options: LogOptions,
) -> std::io::Result<(Tail, bool)> {
    let end = LastFrame::find(last)?;
    let tail = tail(last, &end, header, options);
    let is_whole = end.is_clean && header.is_some_and(|header| header.successor == 0);
    let continues = is_whole && tail.next == end.next && last.file.sync().is_ok();
    if !continues {
        tracing::warn!(
            file = %last.path.display(),
            position = end.position,
            record = tail.next,
            "a file of the event log does not end as it should: a write was cut off, or it is \
             damaged; it is kept, and a new one is begun"
        );
    }
    Ok((tail, continues))
}

/// The end of the last file.
struct LastFrame {
    /// The number of the last record, if there is one.
    number: Option<u64>,
    /// The number after it.
    next: u64,
    /// The offset of the frame's end.
    position: u64,
    /// Whether only zeros follow.
    is_clean: bool,
}

impl LastFrame {
    fn find(segment: &Segment) -> std::io::Result<Self> {
        let first = segment.name.first;
        let mut scanner = FrameScanner::new(segment, PAGE, first..u64::MAX);
        let (mut number, mut next, mut position) = (None, first, PAGE);
        let (mut oldest, mut newest) = (None, i64::MIN);
        while let Some(frame) = scanner.next_frame()? {
            let header = frame.header;
            (number, next) = (Some(header.number), header.number + 1);
            position = frame.position + header.frame_bytes();
            oldest = oldest.or(Some(header.at));
            newest = newest.max(header.at);
            segment.add_to_index(header.number, frame.position);
        }
        let is_clean = segment.is_zero_from(position);
        // Readers of a file with a damaged end scan all of it.
        if is_clean {
            segment.set_end(position, oldest.unwrap_or(i64::MIN), newest);
        }
        Ok(Self {
            number,
            next,
            position,
            is_clean,
        })
    }
}

/// Numbers are never given out twice: the header counts, also when the records that it
/// speaks of are damaged.
fn tail(
    last: &Segment,
    end: &LastFrame,
    header: Option<SegmentHeader>,
    options: LogOptions,
) -> Tail {
    // A file has no room for more records.
    let max_records = options
        .max_segment_bytes
        .max(last.bytes)
        .div_ceil(HEADER_BYTES as u64);
    match header {
        Some(header) if header.successor == 0 => Tail {
            next: header.next.max(end.next),
            previous: header.previous.max(end.number.unwrap_or_default()),
        },
        // The file that followed is gone, and its records with it.
        Some(header) => {
            let next = header.successor.max(end.next) + max_records;
            Tail {
                next,
                previous: next - 1,
            }
        }
        // The header is damaged: more records may have followed the last one, and their number is
        // unknown. Where only the header is damaged, no record is reported missing.
        None => {
            let next = end.next + max_records;
            let previous = end.number.filter(|_| end.is_clean).unwrap_or(next - 1);
            Tail { next, previous }
        }
    }
}
