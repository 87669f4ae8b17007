use rusqlite::{Row, params};

use crate::audit::{AuditStream, Hash};
use crate::rows::{BlockRow, SegmentRow};
use crate::{StoreError, Tx, View};

fn read_block(row: &Row<'_>) -> rusqlite::Result<BlockRow> {
    Ok(BlockRow {
        first: row.get(0)?,
        since: row.get(1)?,
        until: row.get(2)?,
        records: row.get(3)?,
    })
}

fn read_segment(row: &Row<'_>) -> rusqlite::Result<SegmentRow> {
    Ok(SegmentRow {
        first: row.get(0)?,
        previous: Hash::from_bytes(row.get(1)?),
        last: row.get(2)?,
        hash: Hash::from_bytes(row.get(3)?),
        bytes: row.get(4)?,
        since: row.get(5)?,
        until: row.get(6)?,
    })
}

/// The same statement for the table of each stream.
macro_rules! of_stream {
    ($stream:expr, $before:literal, $after:literal) => {
        match $stream {
            AuditStream::OperatorActs => concat!($before, " audit_acts ", $after),
            AuditStream::Decisions => concat!($before, " audit_decisions ", $after),
            AuditStream::Refusals => concat!($before, " audit_refusals ", $after),
        }
    };
}

impl View<'_> {
    /// The block of a stream that begins with record `first` or, when none does, the next one.
    pub fn audit_block_from(
        &self,
        stream: AuditStream,
        first: u64,
    ) -> Result<Option<BlockRow>, StoreError> {
        let sql = of_stream!(
            stream,
            "SELECT first, since, until, records FROM",
            "WHERE first >= ?1 ORDER BY first LIMIT 1"
        );
        self.one(sql, [first], read_block)
    }

    /// The last block of a stream that begins before record `before`.
    pub fn audit_block_before(
        &self,
        stream: AuditStream,
        before: u64,
    ) -> Result<Option<BlockRow>, StoreError> {
        let sql = of_stream!(
            stream,
            "SELECT first, since, until, records FROM",
            "WHERE first < ?1 ORDER BY first DESC LIMIT 1"
        );
        self.one(sql, [before], read_block)
    }

    pub(crate) fn audit_segments(
        &self,
        stream: AuditStream,
    ) -> Result<Vec<SegmentRow>, StoreError> {
        let sql = "SELECT first, previous, last, hash, bytes, since, until FROM audit_segments
                   WHERE stream = ?1 ORDER BY first";
        self.all(sql, [stream.name()], read_segment)
    }
}

impl Tx<'_> {
    pub(crate) fn insert_audit_block(
        &self,
        stream: AuditStream,
        row: &BlockRow,
    ) -> Result<(), StoreError> {
        let sql = of_stream!(
            stream,
            "INSERT INTO",
            "(first, since, until, records) VALUES (?1, ?2, ?3, ?4)"
        );
        let values = params![row.first, row.since, row.until, row.records];
        self.write_at_end(sql, values).map(drop)
    }

    /// Begins a segment, or notes how far it goes.
    pub(crate) fn put_audit_segment(
        &self,
        stream: AuditStream,
        row: &SegmentRow,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO audit_segments (stream, first, previous, last, hash, bytes, since,
                   until)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                   ON CONFLICT (stream, first) DO UPDATE SET last = excluded.last, hash =
                   excluded.hash, bytes = excluded.bytes,
                     since = excluded.since, until = excluded.until";
        #[rustfmt::skip]
        let values = params![
            stream.name(), row.first, row.previous.as_bytes(), row.last, row.hash.as_bytes(),
            row.bytes,
            row.since, row.until,
        ];
        self.write_at_end(sql, values).map(drop)
    }

    /// Deletes the oldest segment with its blocks.
    pub(crate) fn cut_audit_segment(
        &self,
        stream: AuditStream,
        row: &SegmentRow,
    ) -> Result<(), StoreError> {
        let sql = of_stream!(stream, "DELETE FROM", "WHERE first <= ?1");
        self.write_at_end(sql, [row.last])?;
        let sql = "DELETE FROM audit_segments WHERE stream = ?1 AND first = ?2";
        self.write_at_end(sql, params![stream.name(), row.first])
            .map(drop)
    }
}
