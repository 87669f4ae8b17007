//! Copies what commits wrote into the WAL to the database, beside the writer.
//!
//! A page that many commits change is copied once, so that a long WAL costs less than a short one;
//! a writer that copied it itself would let everybody wait meanwhile. The copy of one thread ends
//! where the WAL ended as it began. The writer copies the few pages that came since, and then its
//! next commit begins the WAL anew.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;

use crate::sqlite::connection::open_checkpointer;
use crate::{OpenError, StoreError};

/// Pages of the WAL that are not in the database before they are copied: 32 MiB.
pub(crate) const PAGES: u64 = 8192;

/// A thread that copies; ends when this is dropped.
pub(crate) struct Checkpointer {
    commits: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    copied: Arc<AtomicBool>,
}

/// How far a WAL is copied, in pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Progress {
    written: u64,
    copied: u64,
}

impl Checkpointer {
    pub(crate) fn start(file: &Arc<Path>, pages: u64) -> Result<Self, OpenError> {
        let connection = open_checkpointer(file)?;
        // One signal says that there were commits, however many.
        let (commits, signals) = sync_channel(1);
        let copied = Arc::new(AtomicBool::new(false));
        let work = Work {
            connection,
            file: file.clone(),
            pages,
            copied: copied.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("store-checkpoint".to_owned())
            .spawn(move || work.run(&signals))
            .map_err(OpenError::io("starting the checkpoints of", file))?;
        Ok(Self {
            commits: Some(commits),
            thread: Some(thread),
            copied,
        })
    }

    /// Says that the writer committed. When most of the WAL is copied, copies the rest.
    pub(crate) fn committed(&self, writer: &Connection, file: &Arc<Path>) {
        if self.copied.swap(false, Ordering::AcqRel)
            && let Err(error) = copy(writer, file)
        {
            warn(&error);
        }
        if let Some(commits) = &self.commits {
            // When the channel is full, the thread is about to look.
            let _ = commits.try_send(());
        }
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.commits = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been logged, and the WAL has everything.
            let _ = thread.join();
        }
    }
}

struct Work {
    connection: Connection,
    file: Arc<Path>,
    pages: u64,
    copied: Arc<AtomicBool>,
}

impl Work {
    fn run(self, commits: &Receiver<()>) {
        let mut fails = false;
        while commits.recv().is_ok() {
            match self.copy_when_due() {
                Ok(()) => fails = false,
                Err(error) if !fails => {
                    fails = true;
                    warn(&error);
                }
                Err(_) => {}
            }
        }
    }

    fn copy_when_due(&self) -> Result<(), StoreError> {
        let now = progress(&self.connection, &self.file, "PRAGMA wal_checkpoint(NOOP)")?;
        if now.written.saturating_sub(now.copied) < self.pages {
            return Ok(());
        }
        let after = copy(&self.connection, &self.file)?;
        // A long read keeps what it sees: nothing more can be copied before it ends.
        let moved = after.copied >= now.written;
        self.copied.store(moved, Ordering::Release);
        Ok(())
    }
}

/// Copies what no reader is in the way of, and waits for nobody.
fn copy(connection: &Connection, file: &Arc<Path>) -> Result<Progress, StoreError> {
    progress(connection, file, "PRAGMA wal_checkpoint(PASSIVE)")
}

fn progress(
    connection: &Connection,
    file: &Arc<Path>,
    sql: &'static str,
) -> Result<Progress, StoreError> {
    let read = || {
        connection.prepare_cached(sql)?.query_row([], |row| {
            Ok(Progress {
                // -1 while there is no WAL.
                written: row.get::<_, i64>(1)?.max(0).unsigned_abs(),
                copied: row.get::<_, i64>(2)?.max(0).unsigned_abs(),
            })
        })
    };
    read().map_err(|error| StoreError::sql("copying the WAL to", file, error))
}

fn warn(error: &StoreError) {
    tracing::warn!(
        error = error as &dyn std::error::Error,
        "commits are safe in the WAL, which grows: it cannot be copied to the database"
    );
}

#[cfg(test)]
mod tests;
