//! What the handle of a log sends to its writer.

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::error::EventLogError;
use crate::frame::HEADER_BYTES;

pub(crate) enum Job {
    Append(Append),
    /// Writes something, if the last write failed.
    Probe(oneshot::Sender<Result<(), EventLogError>>),
    /// Deletes files that are older than the retention at this time, in ticks.
    Trim(i64),
    /// Gives out no number below this one.
    Advance(u64, oneshot::Sender<Result<(), EventLogError>>),
    /// Deletes the log and ends the writer.
    Delete(oneshot::Sender<()>),
}

/// Records that are appended together.
pub(crate) struct Append {
    pub(crate) records: Vec<NewRecord>,
    /// Gets the number of the last record.
    pub(crate) caller: oneshot::Sender<Result<u64, EventLogError>>,
    /// Memory that the records hold.
    pub(crate) _memory: OwnedSemaphorePermit,
}

impl Append {
    pub(crate) fn bytes(&self) -> u64 {
        let bytes = |record: &NewRecord| (HEADER_BYTES + record.payload.len()) as u64;
        self.records.iter().map(bytes).sum()
    }
}

pub(crate) struct NewRecord {
    /// The number of a record that comes from another log.
    pub(crate) number: Option<u64>,
    pub(crate) at: i64,
    pub(crate) payload: Vec<u8>,
}
