//! The first page of a file. It is written with every batch of records and synced with them: when
//! the last records are damaged, it still says that their numbers were given out.

use crate::frame;

/// Bytes of the page that are used.
pub(crate) const HEADER_BYTES: usize = 44;
const MAGIC: &[u8; 8] = b"MSTREVT2";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    /// No smaller number may be given out.
    pub(crate) next: u64,
    /// The last number that was given out.
    pub(crate) previous: u64,
    /// When the newest record was appended, in ticks; `i64::MIN` without records.
    pub(crate) newest: i64,
    /// First number of the file that follows, 0 as long as none follows: that
    /// file cannot disappear unnoticed.
    pub(crate) successor: u64,
}

impl SegmentHeader {
    pub(crate) fn encode(&self, salt: u64) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&self.next.to_le_bytes());
        bytes.extend_from_slice(&self.previous.to_le_bytes());
        bytes.extend_from_slice(&self.newest.to_le_bytes());
        bytes.extend_from_slice(&self.successor.to_le_bytes());
        let crc = frame::checksum(salt, &bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// `None` when the page is damaged.
    pub(crate) fn decode(salt: u64, bytes: &[u8]) -> Option<Self> {
        let (checked, crc) = bytes.split_at_checked(HEADER_BYTES - 4)?;
        let (magic, fields) = checked.split_first_chunk::<8>()?;
        let (next, fields) = fields.split_first_chunk::<8>()?;
        let (previous, fields) = fields.split_first_chunk::<8>()?;
        let (newest, successor) = fields.split_first_chunk::<8>()?;
        let crc = u32::from_le_bytes(*crc.first_chunk::<4>()?);
        let is_valid = magic == MAGIC && crc == frame::checksum(salt, checked);
        is_valid.then_some(Self {
            next: u64::from_le_bytes(*next),
            previous: u64::from_le_bytes(*previous),
            newest: i64::from_le_bytes(*newest),
            successor: u64::from_le_bytes(*successor.first_chunk::<8>()?),
        })
    }
}
