//! Whether the streams are as they were written.

use super::record::Head;
use super::seal::cut_record;
use super::{AuditStream, BlockRow, Hash, Record, SegmentRow, records};
use crate::{StoreError, View};

/// A hash that somebody noted earlier. A chain that was cut off at its end, or computed anew,
/// does not have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    pub stream: AuditStream,
    pub number: u64,
    pub hash: Hash,
}

/// A stream whose chain holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    pub stream: AuditStream,
    /// Number of the oldest record kept; one more than `last` when nothing is kept.
    pub first: u64,
    /// Number of the newest record, 0 when there never was one.
    pub last: u64,
    pub hash: Hash,
}

/// The first record that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("record {number} of the {} {flaw}", stream.name())]
pub struct Broken {
    pub stream: AuditStream,
    pub number: u64,
    pub flaw: Flaw,
}

/// What is wrong with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// Its bytes, or the end of its block, were changed.
    #[error("cannot be read: its bytes end too early, or its length was changed")]
    Malformed,
    /// Number, time, body or hash were changed.
    #[error("was altered: its hash does not follow from it and the records before it")]
    Altered,
    /// Another record stands in its place.
    #[error("is missing: number {found} stands in its place")]
    Missing {
        /// Whose number that is.
        found: u64,
    },
    /// The stream ends before it.
    #[error("is missing: the stream ends before it")]
    CutOff,
    /// Everything before it is gone, and no act tells of that.
    #[error("is the oldest one left, and no act tells that those before it were dropped")]
    Unanchored,
    /// It is there, but what is noted about its block or segment is not right.
    #[error("does not fit what is noted about its block or segment")]
    Misplaced,
    /// It holds, but somebody noted another hash.
    #[error("has another hash than the one that was noted")]
    NotTheKnown,
}

/// Why the streams were not found whole.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    #[error(transparent)]
    Broken(#[from] Broken),
    /// They could not be read.
    #[error(transparent)]
    Storage(#[from] StoreError),
}

impl View<'_> {
    /// Walks all streams from the oldest record kept to the newest.
    ///
    /// # Errors
    /// At the first record that does not hold, or when the storage fails.
    pub fn verify_audit(&self, known: &[Known]) -> Result<Vec<Verified>, AuditError> {
        let mut streams = Vec::new();
        for stream in AuditStream::ALL {
            streams.push((stream, self.audit_segments(stream)?));
        }
        let mut sought = Sought::of(&streams);
        let mut verified = Vec::new();
        // The acts come first: they tell of the cuts of all.
        for (stream, segments) in &streams {
            let mut walk = Walk::new(*stream, segments, known);
            let mut from = 0;
            while let Some(block) = self.audit_block_from(*stream, from)? {
                walk.block(&block, |body| sought.met(body))?;
                from = block.first.saturating_add(1);
            }
            verified.push(walk.end()?);
        }
        sought.require_all_met()?;
        Ok(verified)
    }
}

/// The records that must tell of what was cut.
struct Sought(Vec<(AuditStream, u64, Vec<u8>)>);

impl Sought {
    fn of(streams: &[(AuditStream, Vec<SegmentRow>)]) -> Self {
        let oldest = streams
            .iter()
            .filter_map(|(stream, segments)| Some((*stream, *segments.first()?)));
        let cut = oldest.filter(|(_, oldest)| oldest.first > 1);
        let record = |(stream, oldest): (AuditStream, SegmentRow)| {
            let body = cut_record(stream, oldest.first - 1, oldest.previous);
            (stream, oldest.first, body)
        };
        Self(cut.map(record).collect())
    }

    fn met(&mut self, body: &[u8]) {
        self.0.retain(|(_, _, sought)| sought != body);
    }

    fn require_all_met(self) -> Result<(), Broken> {
        match self.0.into_iter().next() {
            None => Ok(()),
            Some((stream, number, _)) => Err(Broken {
                stream,
                number,
                flaw: Flaw::Unanchored,
            }),
        }
    }
}

/// One pass over a stream. Pure: it is handed the blocks.
struct Walk<'a> {
    stream: AuditStream,
    first: u64,
    head: Head,
    /// Those not begun yet, oldest first.
    segments: &'a [SegmentRow],
    /// The one that records belong to, and the bytes of it that were seen.
    current: Option<(SegmentRow, u64)>,
    known: &'a [Known],
}

impl<'a> Walk<'a> {
    fn new(stream: AuditStream, segments: &'a [SegmentRow], known: &'a [Known]) -> Self {
        let head = segments.first().map_or(
            Head {
                number: 0,
                hash: Hash::before(stream),
            },
            |oldest| Head {
                number: oldest.first.saturating_sub(1),
                hash: oldest.previous,
            },
        );
        Self {
            stream,
            first: head.number + 1,
            head,
            segments,
            current: None,
            known,
        }
    }

    fn broken(&self, number: u64, flaw: Flaw) -> Broken {
        let stream = self.stream;
        Broken {
            stream,
            number,
            flaw,
        }
    }

    /// The flaw is with the record that would come next.
    fn next_is(&self, flaw: Flaw) -> Broken {
        self.broken(self.head.number + 1, flaw)
    }

    fn block(&mut self, block: &BlockRow, mut see: impl FnMut(&[u8])) -> Result<(), Broken> {
        let begin = self.head.number + 1;
        let (mut since, mut until) = (i64::MAX, i64::MIN);
        for record in records(&block.records) {
            let record = record.map_err(|_| self.next_is(Flaw::Malformed))?;
            self.record(&record)?;
            see(record.body);
            (since, until) = (since.min(record.time), until.max(record.time));
        }
        let noted = (block.first, block.since, block.until);
        if noted != (begin, since, until) {
            return Err(self.broken(begin, Flaw::Misplaced));
        }
        if let Some((_, bytes)) = &mut self.current {
            *bytes += block.records.len() as u64;
        }
        self.leave_segment()
    }

    fn record(&mut self, record: &Record<'_>) -> Result<(), Broken> {
        let found = record.number;
        if found != self.head.number + 1 {
            return Err(self.next_is(Flaw::Missing { found }));
        }
        self.enter_segment(found)?;
        if record.expected(self.head.hash) != record.hash {
            return Err(self.next_is(Flaw::Altered));
        }
        self.head = Head {
            number: found,
            hash: record.hash,
        };
        let mut known = self
            .known
            .iter()
            .filter(|known| known.stream == self.stream);
        match known.any(|known| known.number == found && known.hash != record.hash) {
            true => Err(self.broken(found, Flaw::NotTheKnown)),
            false => Ok(()),
        }
    }

    fn enter_segment(&mut self, number: u64) -> Result<(), Broken> {
        if self.current.is_some() {
            return Ok(());
        }
        let misplaced = || self.broken(number, Flaw::Misplaced);
        let (next, rest) = self.segments.split_first().ok_or_else(misplaced)?;
        if (next.first, next.previous) != (number, self.head.hash) {
            return Err(misplaced());
        }
        self.current = Some((*next, 0));
        self.segments = rest;
        Ok(())
    }

    /// Segments end where blocks do.
    fn leave_segment(&mut self) -> Result<(), Broken> {
        let Some((segment, bytes)) = self.current.filter(|(s, _)| self.head.number >= s.last)
        else {
            return Ok(());
        };
        let noted = (segment.last, segment.hash, segment.bytes);
        if noted != (self.head.number, self.head.hash, bytes) {
            return Err(self.broken(self.head.number, Flaw::Misplaced));
        }
        self.current = None;
        Ok(())
    }

    fn end(self) -> Result<Verified, Broken> {
        if self.current.is_some() || !self.segments.is_empty() {
            return Err(self.next_is(Flaw::CutOff));
        }
        let mut known = self
            .known
            .iter()
            .filter(|known| known.stream == self.stream);
        if let Some(beyond) = known.find(|known| known.number > self.head.number) {
            return Err(self.broken(beyond.number, Flaw::CutOff));
        }
        Ok(Verified {
            stream: self.stream,
            first: self.first,
            last: self.head.number,
            hash: self.head.hash,
        })
    }
}
