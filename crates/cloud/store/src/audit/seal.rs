//! The end of a commit: the records of its units are chained and become a row.

use std::collections::VecDeque;

use super::record::Head;
use super::{AuditLimits, AuditStream, BlockRow, Entry, Hash, SegmentRow};
use crate::{StoreError, Tx, View};

/// Where the streams stand, as of the last commit. Lives on the writer's thread.
pub(crate) struct HashChains {
    acts: Chain,
    decisions: Chain,
    refusals: Chain,
    limits: AuditLimits,
    /// What the records of a commit are written into. Kept, because fresh memory of this size costs
    /// as much as what is written there.
    buffer: Vec<u8>,
}

/// The buffer that is kept after a large commit.
const MAX_BUFFER: usize = 1 << 20;

/// Where a stream stands.
struct Chain {
    stream: AuditStream,
    head: Head,
    /// Oldest first; the last one grows.
    segments: VecDeque<SegmentRow>,
}

/// What a cut leaves behind for the verifier: the canonical body of its record.
pub(super) fn cut_record(stream: AuditStream, through: u64, hash: Hash) -> Vec<u8> {
    let stream = stream.name();
    format!(r#"{{"kind":"audit.cut","book":"{stream}","through":{through},"hash":"{hash}"}}"#)
        .into_bytes()
}

impl HashChains {
    /// Reads where the streams stand.
    pub(crate) fn load(view: &View<'_>, limits: AuditLimits) -> Result<Self, StoreError> {
        Ok(Self {
            acts: Chain::load(view, AuditStream::OperatorActs)?,
            decisions: Chain::load(view, AuditStream::Decisions)?,
            refusals: Chain::load(view, AuditStream::Refusals)?,
            limits,
            buffer: Vec::new(),
        })
    }

    /// Writes the records of a commit. When this or the commit fails, load anew.
    pub(crate) fn seal(&mut self, tx: &Tx<'_>, mut entries: Vec<Entry>) -> Result<(), StoreError> {
        let Some(time) = entries.iter().map(|entry| entry.time).max() else {
            return Ok(());
        };
        for cut_record in self.cut(tx, time)? {
            entries.push(Entry {
                stream: AuditStream::OperatorActs,
                time,
                body: cut_record,
            });
        }
        for chain in [&mut self.acts, &mut self.decisions, &mut self.refusals] {
            let stream = chain.stream;
            let own = entries.iter().filter(|entry| entry.stream == stream);
            chain.append(tx, own, self.limits, &mut self.buffer)?;
        }
        self.buffer.clear();
        self.buffer.shrink_to(MAX_BUFFER);
        Ok(())
    }

    /// Drops the oldest segment of a stream that holds more than it may, or what is too old. When a
    /// cut goes through the acts, where other cuts are recorded, all of them are recorded again.
    fn cut(&mut self, tx: &Tx<'_>, now: i64) -> Result<Vec<Vec<u8>>, StoreError> {
        let acts = self.acts.cut(tx, self.limits, now)?;
        let mut records = Vec::new();
        records.extend(self.acts.cut_record().filter(|_| acts));
        for chain in [&mut self.decisions, &mut self.refusals] {
            let record = chain.cut(tx, self.limits, now)? || acts;
            records.extend(chain.cut_record().filter(|_| record));
        }
        Ok(records)
    }
}

impl Chain {
    fn load(view: &View<'_>, stream: AuditStream) -> Result<Self, StoreError> {
        let segments: VecDeque<SegmentRow> = view.audit_segments(stream)?.into();
        let head = segments.back().map_or(
            Head {
                number: 0,
                hash: Hash::before(stream),
            },
            |last| Head {
                number: last.last,
                hash: last.hash,
            },
        );
        Ok(Self {
            stream,
            head,
            segments,
        })
    }

    fn append<'e>(
        &mut self,
        tx: &Tx<'_>,
        entries: impl Iterator<Item = &'e Entry>,
        limits: AuditLimits,
        buffer: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        let before = self.head;
        let (mut since, mut until) = (i64::MAX, i64::MIN);
        buffer.clear();
        for entry in entries {
            self.head.append(entry.time, &entry.body, buffer);
            since = since.min(entry.time);
            until = until.max(entry.time);
        }
        if buffer.is_empty() {
            return Ok(());
        }
        let block = BlockRow {
            first: before.number + 1,
            since,
            until,
            records: std::mem::take(buffer),
        };
        let begun = self.growing(&block, before, limits);
        let segment = SegmentRow {
            last: self.head.number,
            hash: self.head.hash,
            bytes: begun.bytes + block.records.len() as u64,
            since: begun.since.min(block.since),
            until: begun.until.max(block.until),
            ..begun
        };
        tx.insert_audit_block(self.stream, &block)?;
        tx.put_audit_segment(self.stream, &segment)?;
        *buffer = block.records;
        self.segments.push_back(segment);
        Ok(())
    }

    /// Takes the segment that grows, or begins one when that is full.
    fn growing(&mut self, block: &BlockRow, before: Head, limits: AuditLimits) -> SegmentRow {
        let last = self.segments.back();
        if last.is_some_and(|last| !limits.is_full(last, block.until))
            && let Some(growing) = self.segments.pop_back()
        {
            return growing;
        }
        SegmentRow {
            first: block.first,
            previous: before.hash,
            last: before.number,
            hash: before.hash,
            bytes: 0,
            since: block.since,
            until: block.until,
        }
    }

    /// Drops the oldest segment when the stream without it still holds what it may, or all of it is
    /// too old; says whether it did. The one that grows stays.
    fn cut(&mut self, tx: &Tx<'_>, limits: AuditLimits, now: i64) -> Result<bool, StoreError> {
        let bytes: u64 = self.segments.iter().map(|segment| segment.bytes).sum();
        let oldest = self.segments.front().filter(|_| self.segments.len() > 1);
        let is_to_go = |oldest: &&SegmentRow| {
            bytes - oldest.bytes >= limits.of(self.stream) || limits.is_over(oldest.until, now)
        };
        let Some(oldest) = oldest.filter(is_to_go) else {
            return Ok(false);
        };
        tx.cut_audit_segment(self.stream, oldest)?;
        self.segments.pop_front();
        Ok(true)
    }

    /// What the oldest kept record follows, when there were others before.
    fn cut_record(&self) -> Option<Vec<u8>> {
        let oldest = self.segments.front().filter(|oldest| oldest.first > 1)?;
        Some(cut_record(self.stream, oldest.first - 1, oldest.previous))
    }
}
