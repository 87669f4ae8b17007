//! One record on disk: a header of 36 bytes, then the payload. Little-endian.
//!
//! | bytes | content |
//! |---|---|
//! | 4 | length of the payload |
//! | 8 | the record's number |
//! | 8 | the number before it: one less, unless numbers were skipped |
//! | 8 | when the record was appended, in units of 100 ns since 1970 |
//! | 4 | checksum of the payload |
//! | 4 | checksum of the 32 bytes before |
//!
//! The header has a checksum of its own, so that a damaged payload costs no other record: the
//! header still says where the next one begins. Checksums are CRC-32C over the segment's salt and
//! the bytes. The salt is in no file's content, and no sender knows it: a payload cannot contain a
//! valid frame, and frames that an earlier file left on the disk are not valid in this one.

/// Most bytes of one record's payload.
pub const MAX_RECORD: usize = 512 * 1024;
pub(crate) const HEADER_BYTES: usize = 36;
const CHECKED_BYTES: usize = HEADER_BYTES - 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    /// Bytes of the payload.
    pub(crate) length: usize,
    pub(crate) number: u64,
    /// The number that was given out before this one.
    pub(crate) previous: u64,
    /// When the record was appended, in ticks.
    pub(crate) at: i64,
    payload_checksum: u32,
}

impl FrameHeader {
    /// Bytes of the header and its payload.
    pub(crate) fn frame_bytes(&self) -> u64 {
        (HEADER_BYTES + self.length) as u64
    }

    /// Whether `payload` is what was written after this header.
    pub(crate) fn matches(&self, salt: u64, payload: &[u8]) -> bool {
        payload.len() == self.length && checksum(salt, payload) == self.payload_checksum
    }
}

/// Appends the frame of a record to `out`.
pub(crate) fn encode(
    salt: u64,
    (number, previous): (u64, u64),
    at: i64,
    payload: &[u8],
    out: &mut Vec<u8>,
) {
    let begin = out.len();
    // Callers refuse payloads that are longer than MAX_RECORD.
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&number.to_le_bytes());
    out.extend_from_slice(&previous.to_le_bytes());
    out.extend_from_slice(&at.to_le_bytes());
    out.extend_from_slice(&checksum(salt, payload).to_le_bytes());
    let header = checksum(salt, &out[begin..]);
    out.extend_from_slice(&header.to_le_bytes());
    out.extend_from_slice(payload);
}

/// The valid header that `bytes` begin with.
pub(crate) fn decode_header(salt: u64, bytes: &[u8]) -> Option<FrameHeader> {
    let (checked, rest) = bytes.split_at_checked(CHECKED_BYTES)?;
    let (length, fields) = checked.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (number, fields) = fields.split_first_chunk::<8>()?;
    let (previous, fields) = fields.split_first_chunk::<8>()?;
    let (at, payload) = fields.split_first_chunk::<8>()?;
    let header = FrameHeader {
        length,
        number: u64::from_le_bytes(*number),
        previous: u64::from_le_bytes(*previous),
        at: i64::from_le_bytes(*at),
        payload_checksum: u32::from_le_bytes(*payload.first_chunk::<4>()?),
    };
    // Cheap conditions first: after damage, every byte may begin a header.
    let is_possible = length <= MAX_RECORD && header.previous < header.number;
    let crc = u32::from_le_bytes(*rest.first_chunk::<4>()?);
    (is_possible && crc == checksum(salt, checked)).then_some(header)
}

/// CRC-32C of the salt and the bytes.
pub(crate) fn checksum(salt: u64, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&salt.to_le_bytes()), bytes)
}
