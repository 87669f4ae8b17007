use crate::audit::Hash;

/// The records that one commit added to a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockRow {
    /// Number of its first record.
    pub first: u64,
    /// The earliest time of its records.
    pub since: i64,
    pub until: i64,
    /// The records themselves, which [`records`](crate::audit::records) reads.
    pub records: Vec<u8>,
}

/// Consecutive blocks that are dropped at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentRow {
    /// Number of its first record.
    pub(crate) first: u64,
    /// The hash up to the record before.
    pub(crate) previous: Hash,
    /// Number of its last record.
    pub(crate) last: u64,
    /// The hash up to there.
    pub(crate) hash: Hash,
    /// Bytes of its blocks.
    pub(crate) bytes: u64,
    /// The earliest time of its records.
    pub(crate) since: i64,
    pub(crate) until: i64,
}
