//! What this process knows of the uploads that are open, so that limits hold for all requests of an
//! upload together, and one at a time changes its files.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use registry::UploadError;
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};
use wire::file_upload::MAX_BLOCKS;

use super::error::BlobError;
use super::part::is_part;

/// Requests of one upload at once. SDKs send five blocks at once, and try again those that were cut
/// off.
const MAX_REQUESTS: usize = 8;

/// By correlation id.
#[derive(Default)]
pub(super) struct OpenUploads(Mutex<HashMap<String, Arc<OpenUpload>>>);

impl OpenUploads {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<OpenUpload>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, id: &str) -> Arc<OpenUpload> {
        let mut all = self.lock();
        let known = all.get(id).cloned();
        known.unwrap_or_else(|| all.entry(id.to_owned()).or_default().clone())
    }

    pub(super) fn ids(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    /// Forgets an upload; requests that have begun receive no more.
    pub(super) fn end(&self, id: &str) {
        if let Some(open) = self.lock().remove(id) {
            open.used().ended = true;
        }
    }
}

/// While it is held, nothing else changes which files an upload has, and it does not end.
pub(super) type Turn = OwnedMutexGuard<Counted>;
/// While it is held, the upload counts one request more.
pub(super) type RequestPermit = Arc<OwnedSemaphorePermit>;

/// Whether the blocks that a process before this one kept are counted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counted {
    #[default]
    No,
    Yes,
}

#[derive(Debug, Default)]
struct Used {
    /// Bytes of blocks, and how many there are.
    kept: u64,
    blocks: usize,
    /// Bytes of parts that are being written.
    parts: u64,
    ended: bool,
}

pub(super) struct OpenUpload {
    requests: Arc<Semaphore>,
    lists: Arc<Semaphore>,
    turn: Arc<tokio::sync::Mutex<Counted>>,
    used: Mutex<Used>,
}

impl Default for OpenUpload {
    fn default() -> Self {
        Self {
            requests: Arc::new(Semaphore::new(MAX_REQUESTS)),
            lists: Arc::new(Semaphore::new(1)),
            turn: Arc::default(),
            used: Mutex::default(),
        }
    }
}

impl OpenUpload {
    fn used(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one request more.
    pub(super) fn place(&self) -> Result<RequestPermit, BlobError> {
        let place = self.requests.clone().try_acquire_owned();
        place.map(Arc::new).map_err(|_| BlobError::Busy)
    }

    /// The place of the one list that is worked on.
    pub(super) fn list(&self) -> Result<OwnedSemaphorePermit, BlobError> {
        let place = self.lists.clone().try_acquire_owned();
        place.map_err(|_| BlobError::Busy)
    }

    pub(super) async fn turn(&self) -> Turn {
        self.turn.clone().lock_owned().await
    }

    /// Counts the blocks that are in a folder.
    pub(super) fn count(&self, folder: &Path) -> io::Result<()> {
        let (mut kept, mut blocks) = (0, 0);
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            if !is_part(&entry.file_name()) {
                kept += entry.metadata()?.len();
                blocks += 1;
            }
        }
        let mut used = self.used();
        (used.kept, used.blocks) = (kept, blocks);
        Ok(())
    }

    /// Counts bytes that are about to be written; `limit` holds for all that is on its way.
    pub(super) fn reserve(&self, bytes: u64, limit: u64) -> Result<(), BlobError> {
        let mut used = self.used();
        if used.ended {
            return Err(UploadError::Unknown.into());
        }
        let parts = used.parts.saturating_add(bytes);
        if used.kept.saturating_add(parts) > limit {
            return Err(BlobError::TooLarge(limit));
        }
        used.parts = parts;
        Ok(())
    }

    /// Bytes of a part that is not there any more.
    pub(super) fn release(&self, bytes: u64) {
        let mut used = self.used();
        used.parts = used.parts.saturating_sub(bytes);
    }

    /// Counts a block in the place of one that has `before` bytes; all together have `limit` at
    /// most.
    pub(super) fn keep(
        &self,
        bytes: u64,
        before: Option<u64>,
        limit: u64,
    ) -> Result<(), BlobError> {
        let mut used = self.used();
        let others = used.kept.saturating_sub(before.unwrap_or(0));
        let kept = others.saturating_add(bytes);
        if kept > limit {
            return Err(BlobError::TooLarge(limit));
        }
        if before.is_none() {
            if used.blocks >= MAX_BLOCKS {
                return Err(BlobError::TooManyBlocks);
            }
            used.blocks += 1;
        }
        used.kept = kept;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_count_together_up_to_a_limit() {
        let open = OpenUploads::default();
        let a = open.get("a");
        a.reserve(6, 10).unwrap();
        assert!(a.reserve(5, 10).is_err());
        a.reserve(4, 10).unwrap();
        assert!(a.reserve(u64::MAX, 10).is_err());
        open.get("b").reserve(10, 10).unwrap();
        a.release(6);
        open.get("a").reserve(6, 10).unwrap();
        open.end("a");
        let ended = a.reserve(0, 10);
        assert!(matches!(
            ended,
            Err(BlobError::Upload(UploadError::Unknown))
        ));
        // What requests of before give back does not count for later ones.
        a.release(10);
        open.get("a").reserve(10, 10).unwrap();
        assert!(open.get("a").reserve(1, 10).is_err());
    }

    #[test]
    fn a_block_takes_the_place_of_the_one_that_it_replaces() {
        let open = OpenUpload::default();
        open.keep(6, None, 10).unwrap();
        open.keep(4, None, 10).unwrap();
        assert!(open.keep(1, None, 10).is_err());
        open.keep(6, Some(6), 10).unwrap();
        assert!(open.keep(7, Some(6), 10).is_err());
        open.keep(2, Some(6), 10).unwrap();
        open.keep(4, None, 10).unwrap();
    }

    #[test]
    fn blocks_of_a_process_before_count() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("4d"), "12345").unwrap();
        std::fs::write(folder.path().join("x.part"), "123").unwrap();
        let open = OpenUpload::default();
        open.count(folder.path()).unwrap();
        assert!(open.reserve(6, 10).is_err());
        open.reserve(5, 10).unwrap();
    }

    #[test]
    fn requests_of_an_upload_at_once_are_limited() {
        let open = OpenUpload::default();
        let places: Vec<_> = (0..MAX_REQUESTS).map(|_| open.place().unwrap()).collect();
        assert!(matches!(open.place(), Err(BlobError::Busy)));
        drop(places);
        assert!(open.place().is_ok());
        let list = open.list().unwrap();
        assert!(matches!(open.list(), Err(BlobError::Busy)));
        drop(list);
        assert!(open.list().is_ok());
    }
}
