//! What is found when a log is opened. Nothing that is there is written to.

use std::path::Path;
use std::sync::Arc;

use crate::disk::Disk;
use crate::error::EventLogError;
use crate::frame::HEAD;
use crate::log::LogOptions;
use crate::segment::{Mark, Named, PAGE, Segment, Walk};

/// Where the next record goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tail {
    /// The number that it gets at least.
    pub(crate) next: u64,
    /// The number that was given before, 0 for none. Readers are told that it is missing when it is not there.
    pub(crate) previous: u64,
}

/// An opened log.
pub(crate) struct Recovered {
    /// Oldest first.
    pub(crate) segments: Vec<Arc<Segment>>,
    pub(crate) tail: Tail,
    /// The last file, when it may be written to. A file that ends in anything but zeros is left as it is.
    pub(crate) current: Option<Arc<Segment>>,
}

/// Opens the files of a folder and finds the end of the last one.
pub(crate) fn recover(
    disk: &dyn Disk,
    folder: &Path,
    options: LogOptions,
) -> Result<Recovered, EventLogError> {
    disk.make_folder(folder)
        .map_err(|error| EventLogError::new("creating directory", folder, error))?;
    let mut segments = Vec::new();
    let mut mark = None;
    for named in
        names(disk, folder).map_err(|error| EventLogError::new("listing", folder, error))?
    {
        let (segment, found) = Segment::open(disk, named)?;
        mark = found;
        segments.push(Arc::new(segment));
    }
    let Some(last) = segments.last().cloned() else {
        let tail = Tail {
            next: 1,
            previous: 0,
        };
        return Ok(Recovered {
            segments,
            tail,
            current: None,
        });
    };
    let scan =
        Scan::of(&last).map_err(|error| EventLogError::new("recovering", &last.path, error))?;
    let tail = tail(&last, &scan, mark, options);
    let is_whole = scan.is_clean && mark.is_some_and(|mark| mark.successor == 0);
    let continues = is_whole && tail.next == scan.next && last.file.sync().is_ok();
    if !continues {
        tracing::warn!(
            file = %last.path.display(), position = scan.end, record = tail.next,
            "a file of the event log does not end as it should: a write was cut off, or it is damaged; it is kept, and a new one is begun"
        );
    }
    let current = continues.then_some(last);
    Ok(Recovered {
        segments,
        tail,
        current,
    })
}

fn names(disk: &dyn Disk, folder: &Path) -> std::io::Result<Vec<Named>> {
    let mut names = Vec::new();
    for path in disk.list(folder)? {
        // A file that was being begun when the process ended.
        if path.extension().is_some_and(|extension| extension == "new") {
            disk.remove(&path)?;
        } else {
            names.extend(Named::read(&path)?);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// What is in the last file.
struct Scan {
    /// The last record that was met.
    last: Option<u64>,
    /// The number after it.
    next: u64,
    /// Where the last frame ends.
    end: u64,
    /// Whether there are only zeros behind it.
    is_clean: bool,
}

impl Scan {
    fn of(segment: &Segment) -> std::io::Result<Self> {
        let mut walk = Walk::new(segment, PAGE, segment.first..u64::MAX);
        let (mut last, mut next, mut end) = (None, segment.first, PAGE);
        let (mut oldest, mut newest) = (i64::MIN, i64::MIN);
        while let Some(met) = walk.step()? {
            (last, next) = (Some(met.head.number), met.head.number + 1);
            end = met.position + met.head.frame();
            oldest = if oldest == i64::MIN {
                met.head.at
            } else {
                oldest
            };
            newest = newest.max(met.head.at);
            segment.place(met.head.number, met.position);
        }
        let is_clean = segment.is_zero_from(end);
        // Only of a file that ends well is the end taken for granted: readers of others look further.
        if is_clean {
            segment.ends_at(end, oldest, newest);
        }
        Ok(Self {
            last,
            next,
            end,
            is_clean,
        })
    }
}

/// Numbers are never given out twice: what the first page says counts, also when the records it speaks of are damaged.
fn tail(last: &Segment, scan: &Scan, mark: Option<Mark>, options: LogOptions) -> Tail {
    // More records than that do not fit into a file.
    let most = options.segment_bytes.max(last.bytes).div_ceil(HEAD as u64);
    match mark {
        Some(mark) if mark.successor == 0 => Tail {
            next: mark.next.max(scan.next),
            previous: mark.previous.max(scan.last.unwrap_or_default()),
        },
        // The file that followed is gone, and its records with it.
        Some(mark) => {
            let next = mark.successor.max(scan.next) + most;
            Tail {
                next,
                previous: next - 1,
            }
        }
        // The page is damaged: records may have stood behind the last one that is there, and nothing says how many. Where all
        // looks well but for the page, it is not said that there were.
        None => {
            let next = scan.next + most;
            let previous = scan.last.filter(|_| scan.is_clean).unwrap_or(next - 1);
            Tail { next, previous }
        }
    }
}
