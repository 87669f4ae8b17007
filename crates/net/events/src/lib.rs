//! The event log of one hub: records in files that are written in advance, each record with its number, time and checksums.
//!
//! [`EventLog::append`] returns after the records are on disk; what arrives together shares one sync. A sync or write that
//! fails is not repeated: the log goes on in a new file. A record that is damaged costs that record: readers are told which
//! numbers are missing. A number is never given out twice, whatever is damaged. The oldest files go when the log is larger or
//! older than [`LogOptions`] say.
//!
//! [`shared_log`] reads the log that older versions kept for all hubs together.

mod disk;
mod error;
mod frame;
mod log;
mod reader;
mod recover;
mod segment;
pub mod shared_log;
mod writer;

pub use error::EventLogError;
pub use frame::MAX_RECORD;
pub use log::{EventLog, LogOptions, Page, Record};

#[cfg(test)]
mod tests;
