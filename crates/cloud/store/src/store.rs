use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::audit::AuditLimits;
use crate::sqlite::connection::{Tx, View, open_writer};
use crate::sqlite::reader::Readers;
use crate::sqlite::writer::{Job, Lane, Pending, Queued, Waiting, Writer};
use crate::{DataDirectory, OpenError, ReadOnlyStore, StoreError, Unit};

/// Jobs that may wait for the writer; more callers wait to be let in.
const QUEUE: usize = 4096;
/// Background jobs that may be on their way to the writer.
const BACKGROUND: usize = 64;
/// Scans that run at once; they are long and would otherwise take every core from the point reads.
const SCANS: usize = 2;
/// Short ones, beside them: what registrations and loops wait for does not stand behind somebody's pages.
const SHORT_SCANS: usize = 2;

/// The database of a data directory. Cheap to clone; the last clone that is dropped waits for the writer to finish.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    // In the order in which they end: no more jobs, then the writer, then the readers, then the lock.
    queue: Option<mpsc::Sender<Queued>>,
    writer: Option<JoinHandle<()>>,
    readers: Readers,
    scans: Arc<Semaphore>,
    background: Semaphore,
    short_scans: Arc<Semaphore>,
    group_generation: Arc<AtomicU64>,
    file: Arc<Path>,
    directory: DataDirectory,
}

impl Store {
    /// Opens the database of a directory that this process holds; creates and migrates it as needed.
    ///
    /// # Errors
    /// When it cannot be opened or written, or a newer version wrote it.
    pub fn open(directory: DataDirectory) -> Result<Self, OpenError> {
        Self::open_with(directory, AuditLimits::default())
    }

    /// Like [`open`](Self::open), and keeps so much of the audit.
    ///
    /// # Errors
    /// When it cannot be opened or written, or a newer version wrote it.
    pub fn open_with(directory: DataDirectory, audit: AuditLimits) -> Result<Self, OpenError> {
        let file: Arc<Path> = DataDirectory::database(directory.path()).into();
        let connection = open_writer(&file)?;
        let (sender, queue) = mpsc::channel(QUEUE);
        let group_generation = Arc::<AtomicU64>::default();
        let writer = Writer {
            connection,
            file: file.clone(),
            queue,
            waiting: Waiting::default(),
            limits: audit,
            group_generation: group_generation.clone(),
            chains: None,
            group: 0,
        };
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

    /// The data directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.shared.directory.path()
    }

    /// How many commits, since this process began, may have made another group let a device in than before: enrollment groups, their
    /// certificates or the authorities they refer to were written. As long as it stays the same, so does what was read of them since;
    /// it moves before such a commit is acknowledged.
    #[must_use]
    pub fn group_generation(&self) -> u64 {
        self.shared.group_generation.load(Ordering::Acquire)
    }

    /// Runs `work` in a transaction and returns its result after the commit is on disk. When `work` fails nothing of it is kept.
    /// Jobs run one after the other, in the order of arrival and before those of [`write_behind`](Self::write_behind); what they read is
    /// the state after all before them.
    ///
    /// # Errors
    /// What `work` answers, or the storage fails.
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.submit(work, true, Lane::Interactive).await
    }

    /// Like [`write`](Self::write), for work that decides before it writes: once it has written, nothing but the storage can make it
    /// fail, and then all that shares its transaction fails with it. Spares a savepoint, which is a good part of a small write.
    /// Work that finds out that it may fail later says so: [`Tx::may_turn_back`].
    ///
    /// # Errors
    /// What `work` answers, or the storage fails.
    pub async fn write_decided<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.submit(work, false, Lane::Interactive).await
    }

    /// Like [`write`](Self::write), for what nobody waits for: others go first, and only a few of these are on their way at once. It
    /// goes on in every transaction, however many the others are.
    ///
    /// # Errors
    /// What `work` answers, or the storage fails.
    pub async fn write_behind<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let stopped = || StoreError::words("writing", &self.shared.file, "the server is stopping");
        let permit = self.shared.background.acquire().await;
        let _permit = permit.map_err(|_| stopped())?;
        self.submit(work, true, Lane::Background).await
    }

    /// Runs a unit and returns its result after the commit is on disk. Units run in the order of arrival
    /// and before those of [`write_unit_in_background`](Self::write_unit_in_background); each sees what
    /// those before it wrote.
    pub async fn write_unit<U: Unit>(&self, unit: U) -> Result<U::Output, U::Error> {
        self.write(move |tx: &Tx<'_>| {
            let plan = unit.decide(tx)?;
            Ok(unit.apply(tx, plan)?)
        })
        .await
    }

    /// The same for what nobody waits for: others go first, and only a few of these are on their way at
    /// once.
    pub async fn write_unit_in_background<U: Unit>(&self, unit: U) -> Result<U::Output, U::Error> {
        self.write_behind(move |tx: &Tx<'_>| {
            let plan = unit.decide(tx)?;
            Ok(unit.apply(tx, plan)?)
        })
        .await
    }

    async fn submit<T, E, F>(&self, work: F, may_turn_back: bool, lane: Lane) -> Result<T, E>
    where
        F: FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (caller, answer) = oneshot::channel();
        let job: Box<dyn Job> = Box::new(Pending::new(work, may_turn_back, caller));
        let stopped = || StoreError::words("writing", &self.shared.file, "the writer has stopped");
        let queue = self.shared.queue.as_ref().ok_or_else(stopped)?;
        queue.send((lane, job)).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    /// Reads on the calling thread: for point reads, which take microseconds.
    ///
    /// # Errors
    /// What `work` answers, or the storage fails.
    pub fn read<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&View<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.shared.readers.read(work)
    }

    /// Reads on a thread of its own, all of one moment: for pages and counts.
    ///
    /// # Errors
    /// What `work` answers, or the storage fails.
    pub async fn scan<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&View<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.scan_with(&self.shared.scans, work).await
    }

    /// Like [`scan`](Self::scan), for reads that others wait for and that are bounded to some milliseconds: they have places of
    /// their own.
    ///
    /// # Errors
    /// What `work` answers, or the storage fails.
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
            // With the scan and not with the caller, who may go away: the thread goes on to the end.
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
mod tests;
