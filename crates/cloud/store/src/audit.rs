//! The audit: what was done and decided. Every record of a stream carries a hash over itself and
//! all records before it.
//!
//! [`Tx::audit`] adds a record to the transaction of the act that it describes. Both are durable
//! together, before anybody is answered, or neither is there. The writer chains and hashes the
//! records of all units at the end of a commit: a record costs a hash and a copy, and a commit one
//! row for each stream. `registry` decides what a body means.
//!
//! There are three streams, so that what devices cause cannot push out what operators did, nor a
//! flood of refusals what was decided about devices that were let in. Each keeps its own number of
//! bytes for its own time, and then drops its oldest segment. The hash before the oldest kept
//! record is where the verification of the rest begins. The stream of acts says of each cut how
//! far it went and which hash stood there.

mod record;
mod seal;
mod walk;

pub use crate::rows::BlockRow;
pub use record::{Hash, MAX_BODY, Malformed, NoHash, Record, records};
pub use walk::{AuditError, Broken, Flaw, Known, Verified};

pub(crate) use crate::rows::SegmentRow;
pub(crate) use seal::HashChains;

use std::time::Duration;

use crate::{StoreError, Tx};

/// What belongs together in one chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AuditStream {
    /// What operators and the server did.
    OperatorActs,
    /// What was decided about devices that were let in.
    Decisions,
    /// Who was not let in.
    Refusals,
}

impl AuditStream {
    pub const ALL: [Self; 3] = [Self::OperatorActs, Self::Decisions, Self::Refusals];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OperatorActs => "acts",
            Self::Decisions => "decisions",
            Self::Refusals => "refusals",
        }
    }
}

/// How much of the streams is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditLimits {
    pub acts: u64,
    pub decisions: u64,
    pub refusals: u64,
    /// How long a record is kept, whatever room there is; `None`: as long as there is room.
    pub keep: Option<Duration>,
    /// Bytes that are dropped at once.
    pub segment: u64,
}

impl Default for AuditLimits {
    /// 256 MiB of acts, 1 GiB of decisions (some three million) and 256 MiB of refusals, in
    /// segments of 4 MiB.
    fn default() -> Self {
        Self {
            acts: 256 << 20,
            decisions: 1 << 30,
            refusals: 256 << 20,
            keep: None,
            segment: 4 << 20,
        }
    }
}

impl AuditLimits {
    fn of(&self, stream: AuditStream) -> u64 {
        match stream {
            AuditStream::OperatorActs => self.acts,
            AuditStream::Decisions => self.decisions,
            AuditStream::Refusals => self.refusals,
        }
    }

    /// Whether a record of this time is older than what is kept. Times are in units of 100 ns.
    fn is_over(&self, time: i64, now: i64) -> bool {
        self.keep
            .is_some_and(|keep| now.saturating_sub(time) > ticks(keep))
    }

    /// Whether a segment that begins with this time is to grow no more: segments are dropped as a
    /// whole, so that none may span more than a small part of the time that records are kept.
    fn is_full(&self, segment: &SegmentRow, now: i64) -> bool {
        let spans = now.saturating_sub(segment.since);
        segment.bytes >= self.segment || self.keep.is_some_and(|keep| spans > ticks(keep / 16))
    }
}

fn ticks(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos() / 100).unwrap_or(i64::MAX)
}

/// A record on its way into a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) stream: AuditStream,
    pub(crate) time: i64,
    pub(crate) body: Vec<u8>,
}

impl Tx<'_> {
    /// Adds a record to a stream, if this unit and its commit succeed. `time` is in units of
    /// 100 ns since 1970.
    ///
    /// # Errors
    /// When it has more than [`MAX_BODY`] bytes.
    pub fn audit(&self, stream: AuditStream, time: i64, body: Vec<u8>) -> Result<(), StoreError> {
        if body.len() > MAX_BODY {
            let cause = format!(
                "an audit record has {} bytes, {MAX_BODY} are allowed",
                body.len()
            );
            return Err(StoreError::words("writing", self.file, cause));
        }
        self.enter(Entry { stream, time, body });
        Ok(())
    }
}

#[cfg(test)]
mod tests;
