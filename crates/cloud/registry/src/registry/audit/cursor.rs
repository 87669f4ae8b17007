//! The streams of the audit side by side, from the newest record to the oldest.

use std::collections::VecDeque;

use ids::Timestamp;
use store::View;
use store::audit::{AuditStream, BlockRow, records};

use super::{AuditQuery, AuditRecord, ListError};
use crate::error::StorageError;
use crate::page::{BadContinuation, Continuation, Page};

/// Number before which the newest record of a stream is looked for first. Records are
/// numbered upward from 1.
const NEWEST: u64 = u64::MAX >> 1;

/// A place in one stream.
struct Cursor {
    stream: AuditStream,
    /// What is before this was not looked at.
    before: u64,
    /// Found and not handed out, newest first.
    found: VecDeque<AuditRecord>,
    is_at_end: bool,
}

/// What a query finds next, after looking at so many bytes at most.
pub(super) fn page(
    view: &View<'_>,
    query: &AuditQuery,
    mut budget: usize,
) -> Result<Page<AuditRecord>, ListError> {
    let mut cursors = parse(query.after.as_ref())?;
    let mut items = Vec::new();
    while items.len() < query.limit {
        for cursor in &mut cursors {
            cursor.fill(view, query, &mut budget)?;
        }
        // One that was not looked through may have a newer record than all others.
        if cursors.iter().any(Cursor::is_unknown) {
            break;
        }
        let newest = cursors.iter_mut().max_by_key(|cursor| cursor.time());
        match newest.and_then(|cursor| cursor.found.pop_front()) {
            Some(record) => items.push(record),
            None => break,
        }
    }
    let is_last = cursors.iter().all(Cursor::is_done);
    Ok(Page {
        items,
        continuation: (!is_last).then(|| Continuation::after(&format(&cursors))),
    })
}

impl Cursor {
    fn new(stream: AuditStream, before: u64) -> Self {
        Self {
            stream,
            before,
            found: VecDeque::new(),
            is_at_end: false,
        }
    }

    /// Looks for records until it has one, the stream begins or the budget is spent.
    fn fill(
        &mut self,
        view: &View<'_>,
        query: &AuditQuery,
        budget: &mut usize,
    ) -> Result<(), StorageError> {
        while self.found.is_empty() && !self.is_at_end && *budget > 0 {
            let Some(block) = view.audit_block_before(self.stream, self.before)? else {
                self.is_at_end = true;
                return Ok(());
            };
            *budget = budget.saturating_sub(block.records.len());
            self.take(&block, query);
            self.before = block.first;
        }
        Ok(())
    }

    fn take(&mut self, block: &BlockRow, query: &AuditQuery) {
        let (since, until) = (block.since, block.until);
        if !query.spans(Timestamp::from_ticks(since), Timestamp::from_ticks(until)) {
            return;
        }
        let before = self.before;
        for record in records(&block.records).filter_map(Result::ok) {
            let record = AuditRecord {
                stream: self.stream.name(),
                number: record.number,
                time: Timestamp::from_ticks(record.time),
                body: serde_json::from_slice(record.body).unwrap_or_default(),
                hash: record.hash.to_string(),
            };
            if record.number < before && query.wants(&record) {
                self.found.push_front(record);
            }
        }
    }

    fn time(&self) -> Option<Timestamp> {
        self.found.front().map(|record| record.time)
    }

    fn is_unknown(&self) -> bool {
        self.found.is_empty() && !self.is_at_end
    }

    fn is_done(&self) -> bool {
        self.found.is_empty() && self.is_at_end
    }

    /// Where this goes on.
    fn next(&self) -> u64 {
        self.found
            .front()
            .map_or(self.before, |record| record.number + 1)
    }
}

/// The place in each stream.
fn format(cursors: &[Cursor]) -> String {
    let places: Vec<String> = cursors.iter().map(|c| c.next().to_string()).collect();
    places.join(":")
}

fn parse(after: Option<&Continuation>) -> Result<Vec<Cursor>, BadContinuation> {
    let Some(after) = after else {
        let cursors = AuditStream::ALL.map(|stream| Cursor::new(stream, NEWEST));
        return Ok(cursors.into());
    };
    let places: Vec<&str> = after.key().split(':').collect();
    if places.len() != AuditStream::ALL.len() {
        return Err(BadContinuation);
    }
    let cursor = |(stream, place): (AuditStream, &str)| {
        let place = place.parse().map_err(|_| BadContinuation)?;
        Ok(Cursor::new(stream, u64::min(place, NEWEST)))
    };
    AuditStream::ALL
        .into_iter()
        .zip(places)
        .map(cursor)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written_and_nothing_else_is() {
        let cursors = [7, NEWEST, 0].into_iter().zip(AuditStream::ALL);
        let cursors: Vec<Cursor> = cursors
            .map(|(at, stream)| Cursor::new(stream, at))
            .collect();
        let read = parse(Some(&Continuation::after(&format(&cursors)))).unwrap();
        let places: Vec<u64> = read.iter().map(|cursor| cursor.before).collect();
        assert_eq!(places, [7, NEWEST, 0]);
        let most = u64::MAX.to_string();
        let read = parse(Some(&Continuation::after(&format!("1:2:{most}")))).unwrap();
        assert_eq!(read[2].before, NEWEST);
        for bad in [
            "",
            "1:2",
            "1:2:3:4",
            "1:2:x",
            "1:2:-3",
            "1:2:99999999999999999999",
        ] {
            assert!(parse(Some(&Continuation::after(bad))).is_err(), "{bad}");
        }
    }
}
