//! An append-only event log on files: numbered records that survive a power cut, in files that
//! are deleted oldest first.
//!
//! ```text
//!  append ──► queue ──► writer thread: encode, one write, one sync for the queue ──► answer
//!                           │
//!                           ▼
//!             SegmentList: 0000000001-….log2   0000000002-….log2   0000000003-….log2
//!                           ▲                                      ▲ written to
//!  read ──► blocking task ──┘
//!
//!  a segment:   header page │ frame │ frame │ frame │ zeros, written in advance
//!  a frame:     length, number, previous number, time, checksums │ payload
//! ```
//!
//! [`EventLog::append`] returns after the records are on disk. A write or sync that fails is not
//! repeated in the same file: the log continues in a new one. A damaged record costs only itself,
//! and readers get the numbers that are missing. A number is never given out twice, whatever is
//! damaged. The oldest files are deleted when the log exceeds [`LogOptions`].
//!
//! [`v1`] reads the format of older versions.

mod error;
mod log;
mod options;
mod queue;

mod health;
mod rotation;
mod writer;

mod reader;
mod recover;

mod disk;
mod frame;
mod segment;
mod segment_list;

pub mod v1;

pub use error::EventLogError;
pub use frame::MAX_RECORD;
pub use log::EventLog;
pub use options::LogOptions;
pub use reader::{Page, Record};

#[cfg(test)]
mod tests;
