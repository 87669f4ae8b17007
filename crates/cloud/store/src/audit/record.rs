//! One record, little-endian: length of the body (4 bytes), number (8), time (8), body, SHA-256
//! (32) over the hash of the record before and everything of this one.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{Context, SHA256};

use super::AuditStream;

/// Most bytes of one body.
pub const MAX_BODY: usize = 8 * 1024;
const HEADER: usize = 4 + 8 + 8;

/// SHA-256 of a chain up to a record.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash([u8; 32]);

impl Hash {
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// What the first record of a stream follows.
    #[must_use]
    pub fn before(stream: AuditStream) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(b"muster audit, version 1: ");
        context.update(stream.name().as_bytes());
        Self::finish(context)
    }

    fn after(self, header: &[u8], body: &[u8]) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(&self.0);
        context.update(header);
        context.update(body);
        Self::finish(context)
    }

    fn finish(context: Context) -> Self {
        let digest = context.finish();
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.as_ref());
        Self(bytes)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

/// A text that is no hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a hash has 64 hexadecimal digits")]
pub struct NoHash;

impl FromStr for Hash {
    type Err = NoHash;

    fn from_str(text: &str) -> Result<Self, NoHash> {
        let digits: &[u8; 64] = text.as_bytes().try_into().map_err(|_| NoHash)?;
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = str::from_utf8(pair).map_err(|_| NoHash)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| NoHash)?;
        }
        // `from_str_radix` also takes a sign.
        match text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            true => Ok(Self(bytes)),
            false => Err(NoHash),
        }
    }
}

/// A record as it stands in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// 1, 2, 3, … in its stream.
    pub number: u64,
    /// When, in units of 100 ns since 1970.
    pub time: i64,
    /// What, as `registry` wrote it.
    pub body: &'a [u8],
    /// The chain up to here, as the record says.
    pub hash: Hash,
}

impl Record<'_> {
    /// The hash that it should have behind a record with this one.
    #[must_use]
    pub fn expected(&self, previous: Hash) -> Hash {
        previous.after(&header(self.number, self.time, self.body), self.body)
    }
}

/// Bytes that are no whole record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bytes end within a record, or its length is wrong")]
pub struct Malformed;

/// The records of a block, in order; ends after the first that is not whole.
pub fn records(block: &[u8]) -> impl Iterator<Item = Result<Record<'_>, Malformed>> {
    let mut rest = Some(block);
    std::iter::from_fn(move || {
        let bytes = rest.take().filter(|bytes| !bytes.is_empty())?;
        Some(split(bytes).ok_or(Malformed).map(|(record, after)| {
            rest = Some(after);
            record
        }))
    })
}

fn split(bytes: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let (length, after) = bytes.split_first_chunk::<4>()?;
    let (number, after) = after.split_first_chunk::<8>()?;
    let (time, after) = after.split_first_chunk::<8>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (body, after) = after
        .split_at_checked(length)
        .filter(|_| length <= MAX_BODY)?;
    let (hash, after) = after.split_first_chunk::<32>()?;
    let record = Record {
        number: u64::from_le_bytes(*number),
        time: i64::from_le_bytes(*time),
        body,
        hash: Hash(*hash),
    };
    Some((record, after))
}

fn header(number: u64, time: i64, body: &[u8]) -> [u8; HEADER] {
    // No caller hands in a body that is longer than MAX_BODY.
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let mut header = [0; HEADER];
    header[..4].copy_from_slice(&length.to_le_bytes());
    header[4..12].copy_from_slice(&number.to_le_bytes());
    header[12..].copy_from_slice(&time.to_le_bytes());
    header
}

/// Where a chain stands: the number of its last record, and the hash up to there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) number: u64,
    pub(crate) hash: Hash,
}

impl Head {
    /// Appends a record to a block.
    pub(crate) fn append(&mut self, time: i64, body: &[u8], block: &mut Vec<u8>) {
        self.number += 1;
        let header = header(self.number, time, body);
        self.hash = self.hash.after(&header, body);
        block.extend_from_slice(&header);
        block.extend_from_slice(body);
        block.extend_from_slice(&self.hash.0);
    }
}
