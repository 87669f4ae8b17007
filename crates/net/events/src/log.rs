//! The handle of a log.

use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use crate::disk::{Disk, FileSystem};
use crate::error::EventLogError;
use crate::frame::MAX_RECORD;
use crate::health::{Health, HealthReport};
use crate::options::LogOptions;
use crate::queue::{Append, Job, NewRecord};
use crate::reader::{self, Page, Record};
use crate::recover;
use crate::rotation::Rotation;
use crate::segment_list::SegmentList;
use crate::writer::LogWriter;

/// Jobs that may wait for the writer; further callers wait to enter the queue.
const QUEUE: usize = 8192;
/// KiB of records that may wait for the writer; further callers wait to enter the queue.
const QUEUE_KIB: usize = 64 * 1024;

/// An event log in a folder. Cheap to clone; dropping the last clone waits for
/// the writer to finish.
#[derive(Clone)]
pub struct EventLog {
    shared: Arc<Shared>,
}

struct Shared {
    queue: Option<mpsc::Sender<Job>>,
    /// KiB that are free in the queue.
    memory: Arc<Semaphore>,
    writer: Option<JoinHandle<()>>,
    segments: Arc<SegmentList>,
    durable: watch::Receiver<u64>,
    health: watch::Receiver<Health>,
    folder: Arc<Path>,
}

impl EventLog {
    /// Opens the log in a folder; begins it when the folder is empty. Only one process may have it
    /// open. `seed` is fresh randomness: no sender may guess the salts that come from it.
    pub fn open(folder: PathBuf, options: LogOptions, seed: u64) -> Result<Self, EventLogError> {
        Self::open_on(Arc::new(FileSystem), folder, options, seed)
    }

    pub(crate) fn open_on(
        disk: Arc<dyn Disk>,
        folder: PathBuf,
        options: LogOptions,
        seed: u64,
    ) -> Result<Self, EventLogError> {
        let folder: Arc<Path> = folder.into();
        let recovered = recover::recover(&*disk, &folder, options)?;
        let (tail, (sender, queue)) = (recovered.tail, mpsc::channel(QUEUE));
        let (durable_sender, durable) = watch::channel(tail.previous);
        let report = HealthReport::new(folder.clone(), options.retry_interval);
        let health = report.subscribe();
        let rotation = Rotation::new(disk, folder.clone(), options, recovered, seed);
        let segments = rotation.segments();
        let writer = LogWriter::new(rotation, tail, durable_sender, report);
        let thread = std::thread::Builder::new()
            .name("event-log".to_owned())
            .spawn(move || writer.run(queue))
            .map_err(|error| EventLogError::new("starting the writer of", &folder, error))?;
        let shared = Shared {
            queue: Some(sender),
            memory: Arc::new(Semaphore::new(QUEUE_KIB)),
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

    /// Appends a record; returns its number after it is on disk. `at` is in units of
    /// 100 ns since 1970.
    ///
    /// # Errors
    /// When the record has more than [`MAX_RECORD`] bytes or the disk fails. The record is not in
    /// the log then, or it was not acknowledged.
    pub async fn append(&self, at: i64, payload: Vec<u8>) -> Result<u64, EventLogError> {
        self.append_all(at, vec![payload]).await
    }

    /// Appends records together; returns the number of the last one after all are on disk.
    pub async fn append_all(&self, at: i64, payloads: Vec<Vec<u8>>) -> Result<u64, EventLogError> {
        let record = |payload| NewRecord {
            number: None,
            at,
            payload,
        };
        self.enqueue(payloads.into_iter().map(record).collect())
            .await
    }

    /// Appends records that already have numbers, ascending. Numbers that the log has are skipped.
    pub async fn import(&self, records: Vec<Record>) -> Result<(), EventLogError> {
        let last = self.last();
        let new = records.into_iter().filter(|record| record.offset > last);
        let record = |record: Record| NewRecord {
            number: Some(record.offset),
            at: record.at,
            payload: record.payload,
        };
        self.enqueue(new.map(record).collect()).await.map(drop)
    }

    async fn enqueue(&self, records: Vec<NewRecord>) -> Result<u64, EventLogError> {
        if records.is_empty() {
            return Ok(self.last());
        }
        let lengths = records.iter().map(|record| record.payload.len());
        let (longest, total) = (lengths.clone().max().unwrap_or(0), lengths.sum::<usize>());
        if longest > MAX_RECORD {
            let cause = format!("a record has {longest} bytes, {MAX_RECORD} are allowed");
            let cause = Error::new(ErrorKind::InvalidInput, cause);
            return Err(EventLogError::new(
                "appending to",
                &self.shared.folder,
                cause,
            ));
        }
        let kib = (total / 1024 + records.len()).min(QUEUE_KIB);
        let memory = self.shared.memory.clone();
        let memory = memory
            .acquire_many_owned(u32::try_from(kib).unwrap_or(u32::MAX))
            .await
            .map_err(|_| self.stopped())?;
        self.call_writer(|caller| {
            Job::Append(Append {
                records,
                caller,
                _memory: memory,
            })
        })
        .await?
    }

    async fn call_writer<T>(
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

    /// Reads up to `max` records after a number (0 for the oldest kept), in order: at most 4 MiB of
    /// them, but one if there is one.
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

    /// The number of the newest record on disk, 0 when the log is empty.
    #[must_use]
    pub fn last(&self) -> u64 {
        *self.shared.durable.borrow()
    }

    /// The oldest record that is kept and can be read.
    pub async fn oldest(&self) -> Result<Option<Record>, EventLogError> {
        Ok(self.read(0, 1).await?.records.pop())
    }

    /// Size of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.shared.segments.bytes()
    }

    /// Waits until a record with a larger number is on disk. Cancel-safe.
    pub async fn wait_after(&self, offset: u64) {
        let mut durable = self.shared.durable.clone();
        if durable.wait_for(|last| *last > offset).await.is_err() {
            // The writer has stopped, so no record will follow.
            std::future::pending::<()>().await;
        }
    }

    /// Whether the last attempt to write failed.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        matches!(*self.shared.health.borrow(), Health::Failing(_))
    }

    /// Fails unless the log can be written. After a failure the disk is tried again, but not more
    /// often than [`LogOptions::retry_interval`] allows.
    pub async fn require_writable(&self) -> Result<(), EventLogError> {
        if !self.is_failing() {
            return Ok(());
        }
        self.call_writer(Job::Probe).await?
    }

    /// Lets the writer delete what is older than the retention at `now`, in units of
    /// 100 ns since 1970.
    pub async fn trim(&self, now: i64) {
        if let Some(queue) = &self.shared.queue {
            // A writer that has stopped has nothing left to delete.
            let _ = queue.send(Job::Trim(now)).await;
        }
    }

    /// Gives out no number below `next` from now on, also after a restart.
    pub async fn advance(&self, next: u64) -> Result<(), EventLogError> {
        self.call_writer(|caller| Job::Advance(next, caller))
            .await?
    }

    /// Deletes the log. Appends fail after this.
    pub async fn delete(&self) -> Result<(), EventLogError> {
        self.call_writer(Job::Delete).await
    }

    #[cfg(test)]
    pub(crate) fn segments(&self) -> &Arc<SegmentList> {
        &self.shared.segments
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(writer) = self.writer.take() {
            // A panic of the writer has been printed by its thread.
            let _ = writer.join();
        }
    }
}
