use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::audit::AuditLimits;
use crate::sqlite::checkpoint::{self, Checkpointer};
use crate::sqlite::connection::open_writer;
use crate::sqlite::job::{Job, Queued, UnitJob};
use crate::sqlite::lanes::Lane;
use crate::sqlite::reader::Readers;
use crate::sqlite::writer::Writer;
use crate::{DataDirectory, OpenError, ReadOnlyStore, StoreError, Unit, View};

/// Jobs that may wait for the writer; more callers wait to be let in.
const QUEUE: usize = 4096;
/// Background jobs that may be on their way to the writer.
const BACKGROUND: usize = 64;
/// Scans that run at once; they are long and would otherwise take every core from the point reads.
const SCANS: usize = 2;
/// Short ones, beside them: what registrations and loops wait for does not
/// stand behind somebody's pages.
const SHORT_SCANS: usize = 2;

/// How a store is opened.
#[derive(Debug, Clone, Copy, Default)]
pub struct StoreOptions {
    /// How much of the audit is kept.
    pub audit: AuditLimits,
    /// For tests: every unit is run, rolled back and run again before it counts, and may write only
    /// rows under the locks that it names.
    pub rehearse: bool,
}

/// The database of a data directory. Cheap to clone; the last clone that is dropped waits for
/// the writer to finish.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    // In the order in which they end: no more jobs, then the writer, then the readers, then the
    // lock.
    queue: Option<mpsc::Sender<Queued>>,
    writer: Option<JoinHandle<()>>,
    readers: Readers,
    scans: Arc<Semaphore>,
    background: Semaphore,
    short_scans: Arc<Semaphore>,
    group_generation: Arc<AtomicU64>,
    revocations: Arc<AtomicU64>,
    file: Arc<Path>,
    directory: DataDirectory,
}

impl Store {
    /// Opens the database of a directory that this process holds; creates and
    /// migrates it as needed.
    ///
    /// # Errors
    /// When it cannot be opened or written, or a newer version wrote it.
    pub fn open(directory: DataDirectory, options: StoreOptions) -> Result<Self, OpenError> {
        let file: Arc<Path> = DataDirectory::database(directory.path()).into();
        let connection = open_writer(&file)?;
        let (sender, queue) = mpsc::channel(QUEUE);
        let checkpointer = Checkpointer::start(&file, checkpoint::PAGES)?;
        let writer = Writer::new(connection, file.clone(), queue, options, checkpointer);
        let group_generation = writer.group_generation();
        let revocations = writer.revocations();
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(OpenError::io("starting the writer of", &file))?;
        let shared = Shared {
            queue: Some(sender),
            writer: Some(thread),
            readers: Readers::new(file.clone()),
            scans: Arc::new(Semaphore::new(SCANS)),
            background: Semaphore::new(BACKGROUND),
            short_scans: Arc::new(Semaphore::new(SHORT_SCANS)),
            group_generation,
            revocations,
            file,
            directory,
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Opens a directory for reading only, also while a server holds it.
    ///
    /// # Errors
    /// When there is no database, it cannot be read, or a newer version wrote it.
    pub fn open_read_only(directory: &Path) -> Result<ReadOnlyStore, OpenError> {
        ReadOnlyStore::open(directory)
    }

    #[must_use]
    pub fn directory(&self) -> &Path {
        self.shared.directory.path()
    }

    /// The generation of enrollment groups: bumped by every commit that could change which group
    /// matches a device, before that commit is acknowledged. As long as it stays the same, what was
    /// read of the groups holds.
    #[must_use]
    pub fn group_generation(&self) -> u64 {
        self.shared.group_generation.load(Ordering::Acquire)
    }

    /// The generation of revocations: bumped by every commit that revokes, holds or restores an
    /// issued certificate, before that commit is acknowledged.
    #[must_use]
    pub fn revocations_generation(&self) -> u64 {
        self.shared.revocations.load(Ordering::Acquire)
    }

    /// Runs a unit and returns its result after the commit is on disk. Units run one after the
    /// other, in the order of arrival and before those of
    /// [`write_in_background`](Self::write_in_background); each sees what those before it wrote.
    pub async fn write<U: Unit>(&self, unit: U) -> Result<U::Output, U::Error> {
        self.submit(unit, Lane::Interactive).await
    }

    /// Like [`write`](Self::write), for what nobody waits for: others go first, and only a
    /// few of these are on their way at once. One goes into every transaction, however
    /// many the others are.
    pub async fn write_in_background<U: Unit>(&self, unit: U) -> Result<U::Output, U::Error> {
        let permit = self.shared.background.acquire().await;
        let _permit = permit.map_err(|_| self.stopped("the server is stopping"))?;
        self.submit(unit, Lane::Background).await
    }

    async fn submit<U: Unit>(&self, unit: U, lane: Lane) -> Result<U::Output, U::Error> {
        let (caller, answer) = oneshot::channel();
        self.enqueue(lane, Box::new(UnitJob::new(unit, caller)))
            .await?;
        answer
            .await
            .map_err(|_| self.stopped("the writer has stopped"))?
    }

    async fn enqueue(&self, lane: Lane, job: Box<dyn Job>) -> Result<(), StoreError> {
        let stopped = || self.stopped("the writer has stopped");
        let queue = self.shared.queue.as_ref().ok_or_else(stopped)?;
        queue.send((lane, job)).await.map_err(|_| stopped())
    }

    fn stopped(&self, cause: &str) -> StoreError {
        StoreError::words("writing", &self.shared.file, cause)
    }

    /// Reads on the calling thread: for point reads, which take microseconds.
    pub fn read<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&View<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.shared.readers.read(work)
    }

    /// Reads on a thread of its own, all of one moment: for pages and counts.
    pub async fn scan<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&View<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.scan_with(&self.shared.scans, work).await
    }

    /// Like [`scan`](Self::scan), for reads that others wait for and that are bounded to some
    /// milliseconds: they have places of their own.
    pub async fn scan_shortly<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&View<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.scan_with(&self.shared.short_scans, work).await
    }

    async fn scan_with<T, E, F>(&self, places: &Arc<Semaphore>, work: F) -> Result<T, E>
    where
        F: FnOnce(&View<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let stopped = || StoreError::words("reading", &self.shared.file, "the server is stopping");
        let permit = places.clone().acquire_owned().await;
        let permit = permit.map_err(|_| stopped())?;
        let shared = self.shared.clone();
        let scan = tokio::task::spawn_blocking(move || {
            // With the scan and not with the caller, who may go away: the thread goes on to the
            // end.
            let _permit = permit;
            shared.readers.read_snapshot(work)
        });
        scan.await.map_err(|_| stopped())?
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(writer) = self.writer.take() {
            // The writer catches panics of jobs; nothing is left to report if it ended otherwise.
            let _ = writer.join();
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
