//! The handle of a log, and what it is asked for.

use std::io::{Error, ErrorKind};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use crate::disk::{Disk, Files};
use crate::error::EventLogError;
use crate::frame::MAX_RECORD;
use crate::segment::Segment;
use crate::writer::{Append, Entry, Job, LogWriter};
use crate::{reader, recover};

/// Jobs that may wait for the writer; more callers wait to be let in.
const QUEUE: usize = 8192;
/// KiB of records that may wait for the writer; more callers wait to be let in.
const QUEUE_KIB: usize = 64 * 1024;

/// How much of a log is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogOptions {
    /// Most bytes of one file, unless a single record needs more. The first is smaller.
    pub segment_bytes: u64,
    /// Most bytes of all files together. The last file always stays.
    pub bytes: u64,
    /// How long a record is kept at least; it goes with its file, at most a tenth later. `None`: as long as there is room.
    pub keep: Option<Duration>,
    /// A disk that failed is asked again after this time.
    pub retry: Duration,
}

impl LogOptions {
    /// For a log of so many bytes and records of such an age.
    #[must_use]
    pub fn keeping(bytes: u64, keep: Option<Duration>) -> Self {
        Self {
            // What is deleted at once shall be a small part of what is kept. Files that are closed by age are twelve at a time and
            // may be nearly empty: all have room, so that size does not push out what is young enough.
            segment_bytes: (bytes / 16).clamp(64 << 10, 16 << 20),
            bytes,
            keep,
            retry: Duration::from_secs(1),
        }
    }
}

impl Default for LogOptions {
    /// 1 GiB, as long as there is room.
    fn default() -> Self {
        Self::keeping(1 << 30, None)
    }
}

/// One record and its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Ascending. Without gaps, unless the log was damaged or cut off.
    pub offset: u64,
    /// What the appender said of the time, units of 100 ns since 1970.
    pub at: i64,
    /// What was appended.
    pub payload: Vec<u8>,
}

/// What a reader gets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// In order.
    pub records: Vec<Record>,
    /// Numbers among them that were given out and cannot be read: their records are damaged. After a power cut also numbers that
    /// were about to be given out.
    pub missing: Vec<RangeInclusive<u64>>,
    /// Ask for what comes after this number.
    pub next: u64,
}

/// Whether a log can be written.
#[derive(Debug, Clone)]
pub(crate) enum Health {
    Good,
    /// The last attempt failed; it is tried again with the next record.
    Failing(EventLogError),
}

/// The log of a hub. Cheap to clone; the last clone that is dropped waits for the writer to finish.
#[derive(Clone)]
pub struct EventLog {
    pub(crate) shared: Arc<Shared>,
}

/// The files, oldest first.
pub(crate) type Segments = Arc<RwLock<Vec<Arc<Segment>>>>;

pub(crate) struct Shared {
    queue: Option<mpsc::Sender<Job>>,
    room: Arc<Semaphore>,
    writer: Option<JoinHandle<()>>,
    pub(crate) segments: Segments,
    durable: watch::Receiver<u64>,
    health: watch::Receiver<Health>,
    folder: Arc<Path>,
}

impl EventLog {
    /// Opens the log in a folder; begins it when there is none. Nobody else may have it open. `seed` is to be random: from it
    /// comes what no sender may guess.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn open_at(folder: PathBuf, options: LogOptions, seed: u64) -> Result<Self, EventLogError> {
        Self::open_on(Arc::new(Files), folder, options, seed)
    }

    pub(crate) fn open_on(
        disk: Arc<dyn Disk>,
        folder: PathBuf,
        options: LogOptions,
        seed: u64,
    ) -> Result<Self, EventLogError> {
        let folder: Arc<Path> = folder.into();
        let recovered = recover::recover(&*disk, &folder, options)?;
        let segments: Segments = Arc::new(RwLock::new(recovered.segments.clone()));
        let (sender, queue) = mpsc::channel(QUEUE);
        let (told, durable) = watch::channel(recovered.tail.previous);
        let (well, health) = watch::channel(Health::Good);
        let writer = LogWriter::new(
            disk,
            folder.clone(),
            options,
            (segments.clone(), recovered),
            seed,
            (told, well),
        );
        let thread = std::thread::Builder::new()
            .name("event-log".to_owned())
            .spawn(move || writer.run(queue))
            .map_err(|error| EventLogError::new("starting the writer of", &folder, error))?;
        let shared = Shared {
            queue: Some(sender),
            room: Arc::new(Semaphore::new(QUEUE_KIB)),
            writer: Some(thread),
            segments,
            durable,
            health,
            folder,
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Appends a record; returns its number after it is on disk.
    ///
    /// # Errors
    /// When it has more than [`MAX_RECORD`] bytes or the disk fails. It is not in the log then, or it was not acknowledged.
    pub async fn append(&self, at: i64, payload: Vec<u8>) -> Result<u64, EventLogError> {
        self.append_all(at, vec![payload]).await
    }

    /// Appends records together; returns the number of the last one after all are on disk.
    ///
    /// # Errors
    /// As of [`append`](Self::append), for all of them.
    pub async fn append_all(&self, at: i64, payloads: Vec<Vec<u8>>) -> Result<u64, EventLogError> {
        let entry = |payload| Entry {
            number: None,
            at,
            payload,
        };
        self.put(payloads.into_iter().map(entry).collect()).await
    }

    /// Appends records that have numbers already, ascending; what is in the log is passed over.
    ///
    /// # Errors
    /// As of [`append`](Self::append).
    pub async fn import(&self, records: Vec<Record>) -> Result<(), EventLogError> {
        let last = self.last();
        let fresh = records.into_iter().filter(|record| record.offset > last);
        let entry = |record: Record| Entry {
            number: Some(record.offset),
            at: record.at,
            payload: record.payload,
        };
        self.put(fresh.map(entry).collect()).await.map(drop)
    }

    async fn put(&self, records: Vec<Entry>) -> Result<u64, EventLogError> {
        if records.is_empty() {
            return Ok(self.last());
        }
        let longest = records.iter().map(|entry| entry.payload.len()).max();
        if let Some(bytes) = longest.filter(|bytes| *bytes > MAX_RECORD) {
            let cause = format!("a record has {bytes} bytes, {MAX_RECORD} are allowed");
            let cause = Error::new(ErrorKind::InvalidInput, cause);
            return Err(EventLogError::new(
                "appending to",
                &self.shared.folder,
                cause,
            ));
        }
        let bytes: usize = records.iter().map(|entry| entry.payload.len()).sum();
        let kib = (bytes / 1024 + records.len()).min(QUEUE_KIB);
        let room = self.shared.room.clone();
        let held = room
            .acquire_many_owned(u32::try_from(kib).unwrap_or(u32::MAX))
            .await
            .map_err(|_| self.stopped())?;
        self.ask(|caller| {
            Job::Append(Append {
                records,
                caller,
                _held: held,
            })
        })
        .await?
    }

    async fn ask<T>(
        &self,
        job: impl FnOnce(oneshot::Sender<T>) -> Job,
    ) -> Result<T, EventLogError> {
        let (caller, answer) = oneshot::channel();
        let queue = self.shared.queue.as_ref().ok_or_else(|| self.stopped())?;
        let sent = queue.send(job(caller)).await;
        sent.map_err(|_| self.stopped())?;
        answer.await.map_err(|_| self.stopped())
    }

    fn stopped(&self) -> EventLogError {
        let cause = Error::other("the writer has stopped");
        EventLogError::new("appending to", &self.shared.folder, cause)
    }

    /// Up to `max` records after a number (0 for the oldest kept), in order and at most 4 MiB of them, but one if there is one.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub async fn read(&self, after: u64, max: usize) -> Result<Page, EventLogError> {
        let segments = self.shared.segments.clone();
        let durable = self.last();
        let read =
            tokio::task::spawn_blocking(move || reader::read(&segments, after, max, durable));
        read.await.map_err(|_| {
            let cause = Error::other("the reader panicked");
            EventLogError::new("reading", &self.shared.folder, cause)
        })?
    }

    /// The number of the newest record on disk, 0 when there is none.
    #[must_use]
    pub fn last(&self) -> u64 {
        *self.shared.durable.borrow()
    }

    /// The oldest record that is kept, if it can be read.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub async fn oldest(&self) -> Result<Option<Record>, EventLogError> {
        Ok(self.read(0, 1).await?.records.pop())
    }

    /// Bytes of its files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let segments = self.shared.segments.read();
        let segments = segments.unwrap_or_else(std::sync::PoisonError::into_inner);
        segments.iter().map(|segment| segment.bytes).sum()
    }

    /// Returns once a record after this number is on disk. Cancel-safe.
    pub async fn wait_after(&self, offset: u64) {
        let mut durable = self.shared.durable.clone();
        if durable.wait_for(|last| *last > offset).await.is_err() {
            // The writer has stopped: nothing will come any more.
            std::future::pending::<()>().await;
        }
    }

    /// Whether the last attempt to write failed.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        matches!(*self.shared.health.borrow(), Health::Failing(_))
    }

    /// Whether it can be written. A log that failed is tried again, but not more often than [`LogOptions::retry`] allows.
    ///
    /// # Errors
    /// When it cannot.
    pub async fn require_writable(&self) -> Result<(), EventLogError> {
        if !self.is_failing() {
            return Ok(());
        }
        self.ask(Job::Probe).await?
    }

    /// Forgets what is older than is kept, soon.
    pub async fn trim(&self, now: i64) {
        if let Some(queue) = &self.shared.queue {
            // A writer that has stopped has nothing to forget any more.
            let _ = queue.send(Job::Trim(now)).await;
        }
    }

    /// Gives out no number below `next` from now on, also after a restart.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn advance(&self, next: u64) -> Result<(), EventLogError> {
        self.ask(|caller| Job::Advance(next, caller)).await?
    }

    /// Deletes the log. What is appended after this fails.
    ///
    /// # Errors
    /// When the writer has stopped.
    pub async fn retire(&self) -> Result<(), EventLogError> {
        self.ask(Job::Retire).await
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
