//! A table in memory that does not grow, for what is remembered of those who asked lately.
//!
//! Everybody has one set of eight places where it can be, and takes the one of those that is worth least. Who is forgotten is treated
//! as if it had never asked, so the worst that a flood of invented names does is that limits are felt less. Which set a name belongs
//! to depends on a secret, so that nobody can aim.

use std::hash::{DefaultHasher, Hasher};
use std::sync::{Mutex, PoisonError};

const WAYS: usize = 8;
const SHARDS: usize = 64;

/// What is remembered of one.
pub trait Entry: Clone + Default {
    /// Whom it is about; 0 for nobody.
    fn key(&self) -> u64;

    /// The first that is remembered of somebody.
    fn begin(key: u64) -> Self;

    /// What is worth less is forgotten first.
    fn worth(&self) -> impl Ord;
}

/// The table. Parts of it take memory once they are used.
pub struct Table<T> {
    secret: u128,
    /// Sets behind one lock.
    sets: usize,
    shards: Box<[Mutex<Vec<[T; WAYS]>>]>,
}

impl<T: Entry> Table<T> {
    /// An empty table for so many; `secret` is fresh randomness.
    pub fn new(capacity: usize, secret: u128) -> Self {
        Self {
            secret,
            sets: capacity / WAYS / SHARDS,
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }
    }

    /// The key of somebody whose name `name` writes.
    pub fn key(&self, name: impl FnOnce(&mut DefaultHasher)) -> u64 {
        let mut hasher = DefaultHasher::new();
        hasher.write_u128(self.secret);
        name(&mut hasher);
        // 0 is the key of a place that nobody has.
        hasher.finish().max(1)
    }

    /// Looks at somebody, and remembers what `act` makes of it.
    pub fn with<R>(&self, key: u64, act: impl FnOnce(&mut T) -> R) -> R {
        let index = key as usize;
        let shard = &self.shards[index % SHARDS];
        let mut sets = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if sets.is_empty() {
            sets.resize_with(self.sets, Default::default);
        }
        act(place(&mut sets[index / SHARDS % self.sets], key))
    }

    /// Places that take memory.
    #[cfg(test)]
    pub fn allocated(&self) -> usize {
        let shards = self.shards.iter();
        let sets: usize = shards.map(|shard| shard.lock().unwrap().capacity()).sum();
        sets * WAYS
    }
}

fn place<T: Entry>(set: &mut [T; WAYS], key: u64) -> &mut T {
    let known = set.iter().position(|entry| entry.key() == key);
    let at = known.unwrap_or_else(|| {
        let least = (0..WAYS).min_by(|a, b| set[*a].worth().cmp(&set[*b].worth()));
        least.unwrap_or_default()
    });
    if known.is_none() {
        set[at] = T::begin(key);
    }
    &mut set[at]
}
