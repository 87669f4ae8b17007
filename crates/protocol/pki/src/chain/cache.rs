use std::collections::{HashSet, VecDeque};
use std::sync::{PoisonError, RwLock};

use ids::Thumbprint;

/// Remembers which paths of issuers were verified under which anchor, so that next time only the
/// leaf's signature is checked.
///
/// An entry is the SHA-256 of every certificate from the anchor down to the leaf's issuer. It says
/// only that their signatures hold, which no later event changes; dates, usages and path lengths
/// are checked again each time. Bounded; the oldest entry leaves first. Only verified paths enter,
/// so strangers cannot fill it with their own.
#[derive(Debug)]
pub struct IssuerCache {
    capacity: usize,
    entries: RwLock<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    known: HashSet<Vec<Thumbprint>>,
    oldest_first: VecDeque<Vec<Thumbprint>>,
}

impl IssuerCache {
    /// A cache for at most `capacity` paths; 0 remembers nothing.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            entries: RwLock::default(),
        }
    }

    /// The number of verified paths in the cache.
    #[must_use]
    pub fn len(&self) -> usize {
        self.read().known.len()
    }

    /// Whether the cache holds no path.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn knows(&self, path: &[Thumbprint]) -> bool {
        self.read().known.contains(path)
    }

    pub(super) fn remember(&self, path: Vec<Thumbprint>) {
        if self.capacity == 0 {
            return;
        }
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        if entries.known.contains(&path) {
            return;
        }
        while entries.known.len() >= self.capacity {
            let Some(oldest) = entries.oldest_first.pop_front() else {
                break;
            };
            entries.known.remove(&oldest);
        }
        entries.oldest_first.push_back(path.clone());
        entries.known.insert(path);
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Entries> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for IssuerCache {
    /// Room for 1024 paths, about 200 KiB: a fleet has a handful of issuing CAs.
    fn default() -> Self {
        Self::new(1024)
    }
}
