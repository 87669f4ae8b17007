use std::os::unix::fs::FileExt;
use std::sync::{Arc, PoisonError};

use super::frame::{self, HEADER, MAX_RECORD};
use super::segment::Segment;
use super::{Record, Segments};
use crate::StoreError;

/// Most bytes of one answer.
const ANSWER: usize = 4 << 20;

/// Reads up to `max` records after `after`, none behind `durable`.
pub(crate) fn read(
    segments: &Segments,
    after: u64,
    max: usize,
    durable: u64,
) -> Result<Vec<Record>, StoreError> {
    let mut records = Vec::new();
    let mut bytes = 0;
    let segments = segments
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let oldest = segments.first().map_or(1, |segment| segment.first);
    let wanted = after.saturating_add(1).max(oldest);
    for (index, segment) in segments.iter().enumerate() {
        let last = segments
            .get(index + 1)
            .map_or(durable, |next| next.first - 1)
            .min(durable);
        if last < wanted || records.len() >= max || bytes >= ANSWER {
            continue;
        }
        read_segment(segment, wanted, last, &mut |record| {
            bytes += record.payload.len();
            records.push(record);
            records.len() < max && bytes < ANSWER
        })?;
    }
    Ok(records)
}

/// Gives the records `wanted..=last` of a segment to `take`, until it answers that it has enough.
fn read_segment(
    segment: &Arc<Segment>,
    wanted: u64,
    last: u64,
    take: &mut impl FnMut(Record) -> bool,
) -> Result<(), StoreError> {
    let (mut offset, mut position) = segment.near(wanted);
    let mut buffer = Vec::new();
    let mut at = 0;
    while offset <= last {
        let payload = match frame::decode(&buffer[at..], offset) {
            Some(payload) => payload,
            None => {
                // The buffer ends inside this record: go on from its beginning.
                position += at as u64;
                at = 0;
                fill(segment, position, &mut buffer)?;
                frame::decode(&buffer, offset).ok_or_else(|| {
                    StoreError::words(
                        "reading",
                        &segment.path,
                        format!("record {offset} is damaged"),
                    )
                })?
            }
        };
        let next = at + HEADER + payload.len();
        segment.mark(offset, position + at as u64);
        if offset >= wanted
            && !take(Record {
                offset,
                payload: payload.to_vec(),
            })
        {
            return Ok(());
        }
        at = next;
        offset += 1;
    }
    Ok(())
}

fn fill(segment: &Segment, position: u64, buffer: &mut Vec<u8>) -> Result<(), StoreError> {
    let failed = |error| StoreError::io("reading", &segment.path, error);
    let size = segment.file.metadata().map_err(failed)?.len();
    let wanted = ((HEADER + MAX_RECORD) as u64).min(size.saturating_sub(position));
    buffer.resize(usize::try_from(wanted).unwrap_or_default(), 0);
    segment.file.read_exact_at(buffer, position).map_err(failed)
}
