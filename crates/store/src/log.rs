//! The event log: records in preallocated segments, each record with its length, checksum and number.
//!
//! [`EventLog::append`] returns after the record is on disk; records that arrive together share one fdatasync. Opening
//! scans the last segment to the first bad frame and forgets what is behind it: that was never acknowledged. Old segments
//! go when there are more than [`LogOptions::segments`].

mod frame;
mod reader;
mod segment;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot, watch};

use crate::{DataDirectory, OpenError, StoreError};
use segment::Segment;
use writer::{Append, LogWriter};

pub use frame::MAX_RECORD;

/// Records that may wait for the writer; more callers wait to be let in.
const QUEUE: usize = 8192;

/// How large the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogOptions {
    /// Bytes of one segment; written with zeros when it is begun.
    pub segment_bytes: u64,
    /// Most segments that are kept; the oldest goes first. At least 2.
    pub segments: usize,
}

impl Default for LogOptions {
    /// 64 segments of 16 MiB.
    fn default() -> Self {
        Self {
            segment_bytes: 16 << 20,
            segments: 64,
        }
    }
}

/// One record and its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// 1, 2, 3, …
    pub offset: u64,
    /// What was appended.
    pub payload: Vec<u8>,
}

/// A log of a data directory. Cheap to clone; the last clone that is dropped waits for the writer to finish.
#[derive(Clone)]
pub struct EventLog {
    shared: Arc<Shared>,
}

/// The segments, oldest first; the last one is written to.
type Segments = Arc<RwLock<Vec<Arc<Segment>>>>;

struct Shared {
    queue: Option<mpsc::Sender<Append>>,
    writer: Option<JoinHandle<()>>,
    segments: Segments,
    durable: watch::Receiver<u64>,
    directory: Arc<Path>,
}

impl EventLog {
    /// Opens the log of a data directory that this process holds; begins it when there is none.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn open(directory: &DataDirectory, options: LogOptions) -> Result<Self, OpenError> {
        Self::open_at(DataDirectory::events(directory.path()), options)
    }

    /// Opens the log in a folder of its own.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn open_at(folder: PathBuf, options: LogOptions) -> Result<Self, OpenError> {
        let directory: Arc<Path> = folder.into();
        let (segments, tail) = segment::recover(&directory, options)?;
        let last = tail.next_offset - 1;
        let segments: Segments = Arc::new(RwLock::new(segments));
        let (sender, queue) = mpsc::channel(QUEUE);
        let (told, durable) = watch::channel(last);
        let writer = LogWriter::new(
            directory.clone(),
            options,
            segments.clone(),
            tail,
            queue,
            told,
        );
        let thread = std::thread::Builder::new()
            .name("event-log".to_owned())
            .spawn(move || writer.run())
            .map_err(OpenError::io("starting the writer of", &directory))?;
        let shared = Shared {
            queue: Some(sender),
            writer: Some(thread),
            segments,
            durable,
            directory,
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Appends a record; returns its number after it is on disk.
    ///
    /// # Errors
    /// When it has more than [`MAX_RECORD`] bytes or the file cannot be written. It is not in the log then.
    pub async fn append(&self, payload: Vec<u8>) -> Result<u64, StoreError> {
        if payload.len() > MAX_RECORD {
            let cause = format!(
                "a record has {} bytes, {MAX_RECORD} are allowed",
                payload.len()
            );
            return Err(StoreError::words(
                "appending to",
                &self.shared.directory,
                cause,
            ));
        }
        let stopped = || {
            StoreError::words(
                "appending to",
                &self.shared.directory,
                "the writer has stopped",
            )
        };
        let (caller, answer) = oneshot::channel();
        let queue = self.shared.queue.as_ref().ok_or_else(stopped)?;
        queue
            .send(Append { payload, caller })
            .await
            .map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    /// Up to `max` records after a number (0 for the oldest kept), in order and at most 4 MiB of them, but one if there is one.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub async fn read(&self, after: u64, max: usize) -> Result<Vec<Record>, StoreError> {
        let segments = self.shared.segments.clone();
        let durable = *self.shared.durable.borrow();
        let read =
            tokio::task::spawn_blocking(move || reader::read(&segments, after, max, durable));
        read.await.map_err(|_| {
            StoreError::words("reading", &self.shared.directory, "the reader panicked")
        })?
    }

    /// The number of the newest record on disk, 0 when there is none.
    #[must_use]
    pub fn last(&self) -> u64 {
        *self.shared.durable.borrow()
    }

    /// Returns once a record after this number is on disk. Cancel-safe.
    pub async fn wait_after(&self, offset: u64) {
        let mut durable = self.shared.durable.clone();
        if durable.wait_for(|last| *last > offset).await.is_err() {
            // The writer has stopped: nothing will come any more.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(writer) = self.writer.take() {
            // Nothing is left to report if it ended with a panic.
            let _ = writer.join();
        }
    }
}

#[cfg(test)]
mod tests;
