//! One record on disk: a head of 36 bytes, then the payload. Little-endian.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | length of the payload |
//! | 8 | the record's number |
//! | 8 | the number before it: one less, unless numbers were passed over |
//! | 8 | when it was appended, units of 100 ns since 1970 |
//! | 4 | checksum of the payload |
//! | 4 | checksum of the 32 bytes before |
//!
//! The head has a checksum of its own, so that a payload that is damaged costs no other record: the head still says where the
//! next one begins. Checksums are CRC-32C over the segment's salt and the bytes. The salt is in no file's content and no sender
//! knows it: what is searched for after damage cannot be counterfeited inside a payload, and what an earlier file left on the
//! disk does not fit.

/// Most bytes of one record's payload.
pub const MAX_RECORD: usize = 512 * 1024;
/// Bytes before the payload.
pub(crate) const HEAD: usize = 36;
const CHECKED: usize = HEAD - 4;

/// What stands before a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) length: usize,
    pub(crate) number: u64,
    /// The number that was given before this one.
    pub(crate) previous: u64,
    /// Ticks.
    pub(crate) at: i64,
    payload: u32,
}

impl Head {
    /// Bytes of the whole frame.
    pub(crate) fn frame(&self) -> u64 {
        (HEAD + self.length) as u64
    }

    /// Whether `payload` is what was written behind this head.
    pub(crate) fn fits(&self, salt: u64, payload: &[u8]) -> bool {
        payload.len() == self.length && checksum(salt, payload) == self.payload
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
    // Callers refuse what is longer than MAX_RECORD.
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&number.to_le_bytes());
    out.extend_from_slice(&previous.to_le_bytes());
    out.extend_from_slice(&at.to_le_bytes());
    out.extend_from_slice(&checksum(salt, payload).to_le_bytes());
    let head = checksum(salt, &out[begin..]);
    out.extend_from_slice(&head.to_le_bytes());
    out.extend_from_slice(payload);
}

/// The head that `bytes` begin with.
pub(crate) fn head(salt: u64, bytes: &[u8]) -> Option<Head> {
    let (checked, rest) = bytes.split_at_checked(CHECKED)?;
    let (length, fields) = checked.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (number, fields) = fields.split_first_chunk::<8>()?;
    let (previous, fields) = fields.split_first_chunk::<8>()?;
    let (at, payload) = fields.split_first_chunk::<8>()?;
    let head = Head {
        length,
        number: u64::from_le_bytes(*number),
        previous: u64::from_le_bytes(*previous),
        at: i64::from_le_bytes(*at),
        payload: u32::from_le_bytes(*payload.first_chunk::<4>()?),
    };
    // Cheap ones first: this is asked of every byte where a head is looked for.
    let is_possible = length <= MAX_RECORD && head.previous < head.number;
    let crc = u32::from_le_bytes(*rest.first_chunk::<4>()?);
    (is_possible && crc == checksum(salt, checked)).then_some(head)
}

/// CRC-32C of the salt and the bytes.
pub(crate) fn checksum(salt: u64, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&salt.to_le_bytes()), bytes)
}
