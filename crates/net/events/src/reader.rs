//! Reading: records in order, and which numbers are missing among them.

use std::ops::RangeInclusive;
use std::sync::{Arc, PoisonError};

use crate::error::EventLogError;
use crate::log::{Page, Record, Segments};
use crate::segment::{Segment, Walk};

/// Most bytes of records of one answer.
const ANSWER: usize = 4 << 20;
/// Most ranges of missing numbers of one answer.
const MISSING: usize = 64;
/// Bytes that are read for one answer before it stops at the end of a file, however little was found.
const LOOKED_AT: u64 = 32 << 20;

/// Reads up to `max` records after `after`, none behind `durable`.
pub(crate) fn read(
    segments: &Segments,
    after: u64,
    max: usize,
    durable: u64,
) -> Result<Page, EventLogError> {
    let segments = segments
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    // What was deleted because it was old is not missing.
    let oldest = segments.first().map_or(0, |segment| segment.first - 1);
    let mut reading = Reading {
        max,
        bytes: 0,
        looked_at: 0,
        page: Page {
            records: Vec::new(),
            missing: Vec::new(),
            next: after.max(oldest.min(durable)),
        },
    };
    for (index, segment) in segments.iter().enumerate() {
        let last = segments
            .get(index + 1)
            .map_or(durable, |next| next.first - 1)
            .min(durable);
        if last <= reading.page.next {
            continue;
        }
        reading
            .segment(segment, last)
            .map_err(|error| EventLogError::new("reading", &segment.path, error))?;
        if reading.is_full() {
            return Ok(reading.page);
        }
        if reading.looked_at >= LOOKED_AT {
            reading.missing_up_to(last);
            return Ok(reading.page);
        }
    }
    reading.missing_up_to(durable);
    Ok(reading.page)
}

/// An answer that is being made.
struct Reading {
    max: usize,
    bytes: usize,
    looked_at: u64,
    page: Page,
}

impl Reading {
    fn is_full(&self) -> bool {
        self.page.records.len() >= self.max
            || self.bytes >= ANSWER
            || self.page.missing.len() >= MISSING
    }

    /// Numbers up to `number` are not there.
    fn missing_up_to(&mut self, number: u64) {
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

    /// Takes the records of a file up to the number `last`, until the answer is full.
    fn segment(&mut self, segment: &Arc<Segment>, last: u64) -> std::io::Result<()> {
        let begin = segment.near(self.page.next + 1);
        let mut walk = Walk::new(segment, begin, segment.first..last + 1);
        while let Some(met) = walk.step()? {
            segment.place(met.head.number, met.position);
            if met.head.number <= self.page.next {
                continue;
            }
            self.missing_up_to(met.head.previous);
            match met.payload {
                Some(payload) => {
                    self.page.next = met.head.number;
                    self.bytes += payload.len();
                    self.page.records.push(Record {
                        offset: met.head.number,
                        at: met.head.at,
                        payload: payload.to_vec(),
                    });
                }
                None => self.missing_up_to(met.head.number),
            }
            // The last one that may be in it: what follows is zeros, or was never acknowledged.
            if self.is_full() || met.head.number == last {
                break;
            }
        }
        self.looked_at += walk.read;
        Ok(())
    }
}
