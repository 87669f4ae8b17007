//! One record on disk, little-endian: length of the payload (4 bytes), CRC-32C of number and payload (4), number (8), payload.
//!
//! The checksum covers the number, and numbers have no gaps: what an earlier life of the file left behind does not fit.

/// Most bytes of one record's payload.
pub const MAX_RECORD: usize = 512 * 1024;
/// Bytes before the payload.
pub(crate) const HEADER: usize = 16;

/// Appends the frame of a record to `out`.
pub(crate) fn encode(offset: u64, payload: &[u8], out: &mut Vec<u8>) {
    // Callers refuse what is longer than MAX_RECORD.
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let number = offset.to_le_bytes();
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&checksum(&number, payload).to_le_bytes());
    out.extend_from_slice(&number);
    out.extend_from_slice(payload);
}

/// The payload of record `offset` when `bytes` begin with its whole, undamaged frame.
pub(crate) fn decode(bytes: &[u8], offset: u64) -> Option<&[u8]> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    let (number, rest) = rest.split_first_chunk::<8>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let payload = rest
        .get(..length)
        .filter(|payload| payload.len() <= MAX_RECORD)?;
    let whole = u64::from_le_bytes(*number) == offset
        && u32::from_le_bytes(*crc) == checksum(number, payload);
    whole.then_some(payload)
}

fn checksum(number: &[u8; 8], payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(number), payload)
}
