use std::time::Duration;

/// How much of a log is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogOptions {
    /// Upper bound of the bytes of one file, unless a single record needs more. The
    /// first file is smaller.
    pub max_segment_bytes: u64,
    /// Upper bound of the bytes of all files. The last file always stays.
    pub max_bytes: u64,
    /// How long a record is kept at least. It is deleted with its file, at most a tenth later.
    /// `None` keeps records as long as there is room.
    pub retention: Option<Duration>,
    /// Time from a failed write until the disk is tried again.
    pub retry_interval: Duration,
}

impl LogOptions {
    /// Options for a log of at most `max_bytes`.
    #[must_use]
    pub fn with_retention(max_bytes: u64, retention: Option<Duration>) -> Self {
        Self {
            // What is deleted at once is a small part of what is kept. Twelve files that were
            // closed by age may exist at a time, nearly empty: all of them fit, so that the bound
            // of the size does not delete records before their time.
            max_segment_bytes: (max_bytes / 16).clamp(64 << 10, 16 << 20),
            max_bytes,
            retention,
            retry_interval: Duration::from_secs(1),
        }
    }
}

impl Default for LogOptions {
    /// 1 GiB, as long as there is room.
    fn default() -> Self {
        Self::with_retention(1 << 30, None)
    }
}
