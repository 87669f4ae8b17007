//! A table in memory that does not grow: a set-associative cache with a lock for each shard.
//!
//! Each key has one set of eight entries where it can be, and replaces the entry that is worth
//! least. A key that was evicted is treated as new, so the worst effect of a flood of invented
//! names is that limits are enforced less strictly. A secret decides which set a name belongs to,
//! so that no client can aim at the entry of another.

use std::hash::{DefaultHasher, Hasher};
use std::sync::{Mutex, PoisonError};

use ids::Timestamp;

use crate::rate::Bucket;

const WAYS: usize = 8;
const SHARDS: usize = 64;

/// What is remembered of one key.
#[derive(Debug, Clone, Copy, Default)]
pub struct Entry<T> {
    /// 0 in an entry that is free.
    key: Key,
    pub starts: Bucket,
    pub polls: Bucket,
    pub memory: T,
}

/// The hash of a name under the table's secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Key(u64);

impl Key {
    #[cfg(test)]
    pub fn from_hash(hash: u64) -> Self {
        Self(hash)
    }

    pub fn hash(self) -> u64 {
        self.0
    }
}

/// What a table remembers beside the buckets.
pub trait Memory: Copy + Default {
    /// Entries of known keys are evicted last, so that invented names do not evict them.
    fn is_known(&self) -> bool;

    /// When the entry was last used, beside its buckets.
    fn last_use(&self) -> Timestamp {
        Timestamp::NEVER
    }
}

impl<T: Memory> Entry<T> {
    /// Entries that are worth less are evicted first.
    fn worth(&self) -> impl Ord + use<T> {
        let buckets = self.starts.last_use().max(self.polls.last_use());
        (self.memory.is_known(), buckets.max(self.memory.last_use()))
    }
}

type Set<T> = [Entry<T>; WAYS];

/// A shard allocates its memory when it is first used.
pub struct Table<T> {
    secret: u128,
    sets_per_shard: usize,
    shards: Box<[Mutex<Vec<Set<T>>>]>,
}

impl<T: Memory> Table<T> {
    /// An empty table of `capacity` entries; `secret` is fresh randomness.
    pub fn new(capacity: usize, secret: u128) -> Self {
        Self {
            secret,
            sets_per_shard: capacity / WAYS / SHARDS,
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }
    }

    /// The key of a name that `write_name` feeds to the hasher.
    pub fn key(&self, write_name: impl FnOnce(&mut DefaultHasher)) -> Key {
        let mut hasher = DefaultHasher::new();
        hasher.write_u128(self.secret);
        write_name(&mut hasher);
        // 0 marks a free entry.
        Key(hasher.finish().max(1))
    }

    /// Runs `act` on the entry of a key, which is made if it is missing.
    pub fn with<R>(&self, key: Key, act: impl FnOnce(&mut Entry<T>) -> R) -> R {
        let index = key.0 as usize;
        let shard = &self.shards[index % SHARDS];
        let mut sets = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if sets.is_empty() {
            sets.resize_with(self.sets_per_shard, Default::default);
        }
        act(find_or_replace(
            &mut sets[index / SHARDS % self.sets_per_shard],
            key,
        ))
    }

    #[cfg(test)]
    pub fn allocated_entries(&self) -> usize {
        let shards = self.shards.iter();
        let sets: usize = shards.map(|shard| shard.lock().unwrap().capacity()).sum();
        sets * WAYS
    }
}

fn find_or_replace<T: Memory>(set: &mut Set<T>, key: Key) -> &mut Entry<T> {
    let known = set.iter().position(|entry| entry.key == key);
    let at = known.unwrap_or_else(|| {
        let least = (0..WAYS).min_by(|a, b| set[*a].worth().cmp(&set[*b].worth()));
        least.unwrap_or_default()
    });
    if known.is_none() {
        set[at] = Entry {
            key,
            ..Entry::default()
        };
    }
    &mut set[at]
}
