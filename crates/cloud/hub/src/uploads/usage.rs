//! How much is on its way of each upload, so that a limit holds for all its requests together.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::fs;
use wire::file_upload::MAX_BLOCKS;

use super::BlobError;
use super::part::is_part;

#[derive(Debug, Clone, Copy, Default)]
struct Used {
    bytes: u64,
    blocks: usize,
}

/// By correlation id.
#[derive(Default)]
pub(super) struct Usage(Mutex<HashMap<String, Used>>);

impl Usage {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Used>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the blocks that a process before this one kept.
    pub(super) async fn read_once(&self, id: &str, folder: &Path) -> io::Result<()> {
        if self.lock().contains_key(id) {
            return Ok(());
        }
        let mut used = Used::default();
        let mut entries = fs::read_dir(folder).await?;
        while let Some(entry) = entries.next_entry().await? {
            if !is_part(&entry.file_name()) {
                used.bytes += entry.metadata().await?.len();
                used.blocks += 1;
            }
        }
        self.lock().entry(id.to_owned()).or_insert(used);
        Ok(())
    }

    /// Counts bytes that are about to be written; `false` when that is more than `limit` together.
    pub(super) fn add(&self, id: &str, bytes: u64, limit: u64) -> bool {
        let mut all = self.lock();
        let used = all.entry(id.to_owned()).or_default();
        let sum = used.bytes.saturating_add(bytes);
        if sum <= limit {
            used.bytes = sum;
        }
        sum <= limit
    }

    /// Bytes that are not there any more.
    pub(super) fn subtract(&self, id: &str, bytes: u64) {
        if let Some(used) = self.lock().get_mut(id) {
            used.bytes = used.bytes.saturating_sub(bytes);
        }
    }

    /// Counts a block that was not there before.
    pub(super) fn add_block(&self, id: &str) -> Result<(), BlobError> {
        let mut all = self.lock();
        let used = all.entry(id.to_owned()).or_default();
        if used.blocks >= MAX_BLOCKS {
            return Err(BlobError::TooManyBlocks);
        }
        used.blocks += 1;
        Ok(())
    }

    pub(super) fn forget(&self, id: &str) {
        self.lock().remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_count_together_up_to_a_limit() {
        let usage = Usage::default();
        assert!(usage.add("a", 6, 10));
        assert!(!usage.add("a", 5, 10));
        assert!(usage.add("a", 4, 10));
        assert!(usage.add("b", 10, 10));
        usage.subtract("a", 6);
        assert!(usage.add("a", 6, 10));
        assert!(!usage.add("a", u64::MAX, 10));
        usage.forget("a");
        assert!(usage.add("a", 10, 10));
    }

    #[tokio::test]
    async fn blocks_of_a_process_before_count() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("4d"), "12345").unwrap();
        std::fs::write(folder.path().join("x.part"), "123").unwrap();
        let usage = Usage::default();
        usage.read_once("a", folder.path()).await.unwrap();
        assert!(!usage.add("a", 6, 10));
        assert!(usage.add("a", 5, 10));
        usage.read_once("a", folder.path()).await.unwrap();
        assert!(!usage.add("a", 1, 10), "it is read once");
    }
}
