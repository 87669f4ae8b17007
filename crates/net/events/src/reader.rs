//! Reading: records in order, and which numbers are missing among them.

use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::error::EventLogError;
use crate::segment::{FrameScanner, Segment};
use crate::segment_list::SegmentList;

/// Most bytes of the records of one page.
const MAX_PAGE_BYTES: usize = 4 << 20;
/// Most ranges of missing numbers of one page.
const MAX_MISSING: usize = 64;
/// Bytes that are scanned for one page before it ends with its file, however little was found.
const MAX_SCANNED_BYTES: u64 = 32 << 20;

/// One record and its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Ascending. Without gaps, unless the log was damaged or cut off.
    pub offset: u64,
    /// The time that the appender gave, in units of 100 ns since 1970.
    pub at: i64,
    /// The bytes that were appended, without the frame around them.
    pub payload: Vec<u8>,
}

/// Some records of a log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// In the order of their numbers.
    pub records: Vec<Record>,
    /// Numbers among them that were given out and cannot be read, because their records are
    /// damaged. After a power cut also numbers that were about to be given out.
    pub missing: Vec<RangeInclusive<u64>>,
    /// The number to read after for the next page.
    pub next: u64,
}

/// Reads up to `max` records after the number `after` and up to the number `durable`.
pub(crate) fn read(
    segments: &SegmentList,
    after: u64,
    max: usize,
    durable: u64,
) -> Result<Page, EventLogError> {
    let segments = segments.snapshot();
    // Records that were deleted because of their age are not missing.
    let deleted = segments.first().map_or(0, |segment| segment.name.first - 1);
    let mut builder = PageBuilder {
        max,
        bytes: 0,
        scanned_bytes: 0,
        page: Page {
            next: after.max(deleted.min(durable)),
            ..Page::default()
        },
    };
    for (index, segment) in segments.iter().enumerate() {
        let next_segment = segments.get(index + 1);
        let last = next_segment
            .map_or(durable, |next| next.name.first - 1)
            .min(durable);
        if last <= builder.page.next {
            continue;
        }
        builder
            .add_segment(segment, last)
            .map_err(|error| EventLogError::new("reading", &segment.path, error))?;
        if builder.is_full() {
            return Ok(builder.page);
        }
        if builder.scanned_bytes >= MAX_SCANNED_BYTES {
            builder.add_missing_up_to(last);
            return Ok(builder.page);
        }
    }
    builder.add_missing_up_to(durable);
    Ok(builder.page)
}

struct PageBuilder {
    max: usize,
    bytes: usize,
    scanned_bytes: u64,
    page: Page,
}

impl PageBuilder {
    fn is_full(&self) -> bool {
        self.page.records.len() >= self.max
            || self.bytes >= MAX_PAGE_BYTES
            || self.page.missing.len() >= MAX_MISSING
    }

    fn add_missing_up_to(&mut self, number: u64) {
        let first = self.page.next + 1;
        if number < first {
            return;
        }
        self.page.next = number;
        match self.page.missing.last_mut() {
            Some(last) if last.end() + 1 == first => *last = *last.start()..=number,
            _ => self.page.missing.push(RangeInclusive::new(first, number)),
        }
    }

    /// Adds the records of a file up to the number `last`, until the page is full.
    fn add_segment(&mut self, segment: &Arc<Segment>, last: u64) -> std::io::Result<()> {
        let begin = segment.position_before(self.page.next + 1);
        let mut scanner = FrameScanner::new(segment, begin, segment.name.first..last + 1);
        while let Some(frame) = scanner.next_frame()? {
            let header = frame.header;
            segment.add_to_index(header.number, frame.position);
            if header.number <= self.page.next {
                continue;
            }
            self.add_missing_up_to(header.previous);
            match frame.payload {
                Some(payload) => {
                    self.page.next = header.number;
                    self.bytes += payload.len();
                    self.page.records.push(Record {
                        offset: header.number,
                        at: header.at,
                        payload: payload.to_vec(),
                    });
                }
                None => self.add_missing_up_to(header.number),
            }
            // What follows the last record is zeros, or was never acknowledged.
            if self.is_full() || header.number == last {
                break;
            }
        }
        self.scanned_bytes += scanner.bytes_read;
        Ok(())
    }
}
