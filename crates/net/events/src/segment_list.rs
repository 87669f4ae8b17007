use std::sync::{Arc, PoisonError, RwLock};

use crate::segment::Segment;

/// The files of a log, oldest first.
pub(crate) struct SegmentList(RwLock<Vec<Arc<Segment>>>);

impl SegmentList {
    pub(crate) fn new(segments: Vec<Arc<Segment>>) -> Self {
        Self(RwLock::new(segments))
    }

    pub(crate) fn snapshot(&self) -> Vec<Arc<Segment>> {
        self.read(Clone::clone)
    }

    pub(crate) fn last(&self) -> Option<Arc<Segment>> {
        self.read(|segments| segments.last().cloned())
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.read(|segments| total_bytes(segments))
    }

    fn read<T>(&self, look: impl FnOnce(&Vec<Arc<Segment>>) -> T) -> T {
        look(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the list. Returns the files that `change` removed, to be deleted without the lock:
    /// no reader waits for the disk.
    #[must_use]
    pub(crate) fn update(
        &self,
        change: impl FnOnce(&mut Vec<Arc<Segment>>) -> Vec<Arc<Segment>>,
    ) -> Vec<Arc<Segment>> {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether readers would have to wait now.
    #[cfg(test)]
    pub(crate) fn is_locked(&self) -> bool {
        self.0.try_read().is_err()
    }
}

pub(crate) fn total_bytes(segments: &[Arc<Segment>]) -> u64 {
    segments.iter().map(|segment| segment.bytes).sum()
}
