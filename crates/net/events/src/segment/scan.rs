//! Frames of a file, also after damage.

use std::ops::Range;

use super::{READ_BYTES, Segment};
use crate::frame::{self, FrameHeader, HEADER_BYTES};

/// A frame whose header is valid.
pub(crate) struct ScannedFrame<'w> {
    pub(crate) header: FrameHeader,
    pub(crate) position: u64,
    /// `None` when it is damaged.
    pub(crate) payload: Option<&'w [u8]>,
}

/// Finds one frame after the other, and skips bytes that are not a frame.
pub(crate) struct FrameScanner<'s> {
    segment: &'s Segment,
    position: u64,
    end: u64,
    /// Numbers that may follow.
    numbers: Range<u64>,
    buffer: Vec<u8>,
    /// Position of the buffer's first byte in the file.
    base: u64,
    /// Bytes read from the file.
    pub(crate) bytes_read: u64,
}

impl<'s> FrameScanner<'s> {
    /// Scans from `position` on for frames whose numbers are in `numbers`.
    pub(crate) fn new(segment: &'s Segment, position: u64, numbers: Range<u64>) -> Self {
        Self {
            segment,
            position,
            end: segment.end(),
            numbers,
            buffer: Vec::new(),
            base: position,
            bytes_read: 0,
        }
    }

    pub(crate) fn next_frame(&mut self) -> std::io::Result<Option<ScannedFrame<'_>>> {
        let Some(header) = self.find_header()? else {
            return Ok(None);
        };
        let (salt, position) = (self.segment.name.salt, self.position);
        self.numbers.start = header.number + 1;
        // A payload that the end of the file cuts off does not match its checksum.
        let range = self.window(HEADER_BYTES + header.length)?;
        self.position = position + header.frame_bytes();
        let payload = self.buffer[range].get(HEADER_BYTES..).unwrap_or_default();
        Ok(Some(ScannedFrame {
            header,
            position,
            payload: header.matches(salt, payload).then_some(payload),
        }))
    }

    fn find_header(&mut self) -> std::io::Result<Option<FrameHeader>> {
        let range = self.window(HEADER_BYTES)?;
        if let Some(header) = self.header_at(range.start) {
            return Ok(Some(header));
        }
        loop {
            let range = self.window(READ_BYTES)?;
            if range.len() < HEADER_BYTES {
                return Ok(None);
            }
            let last = range.end - HEADER_BYTES;
            let mut at = range.start;
            while at <= last {
                if let Some(header) = self.header_at(at) {
                    self.position += (at - range.start) as u64;
                    return Ok(Some(header));
                }
                at += match self.buffer[at..range.end]
                    .iter()
                    .position(|byte| *byte != 0)
                {
                    // A header may begin with zeros, but not with this many.
                    Some(zeros) => zeros.saturating_sub(HEADER_BYTES).max(1),
                    None => range.end - at,
                };
            }
            self.position += (at.min(last + 1) - range.start) as u64;
        }
    }

    fn header_at(&self, at: usize) -> Option<FrameHeader> {
        frame::decode_header(self.segment.name.salt, self.buffer.get(at..)?)
            .filter(|header| self.numbers.contains(&header.number))
    }

    /// Fills the buffer, and returns the range of it that holds up to `wanted` bytes from the
    /// position on; fewer at the end.
    fn window(&mut self, wanted: usize) -> std::io::Result<Range<usize>> {
        let left = usize::try_from(self.end.saturating_sub(self.position)).unwrap_or(usize::MAX);
        let wanted = wanted.min(left);
        let from = usize::try_from(self.position - self.base).unwrap_or(usize::MAX);
        if from.saturating_add(wanted) <= self.buffer.len() {
            return Ok(from..from + wanted);
        }
        self.buffer.resize(wanted.max(READ_BYTES.min(left)), 0);
        let got = self
            .segment
            .read_around_bad_pages(&mut self.buffer, self.position)?;
        self.buffer.truncate(got);
        self.base = self.position;
        self.bytes_read += got as u64;
        Ok(0..wanted.min(got))
    }
}
