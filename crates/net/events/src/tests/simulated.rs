//! A disk in memory that fails on demand and loses unsynced writes at a power cut.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Error, ErrorKind, Result};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use crate::disk::{Disk, DiskFile};
use crate::segment_list::SegmentList;

/// A disk writes a sector whole or not at all.
const SECTOR: usize = 512;

#[derive(Clone, Default)]
pub(super) struct SimulatedDisk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    names: BTreeMap<PathBuf, usize>,
    files: Vec<Content>,
    /// Limit of the bytes of all files.
    capacity: Option<u64>,
    /// Writes, syncs and creations so far, and which of them fail.
    operations: u64,
    failing: BTreeSet<u64>,
    fails_always: bool,
    /// Bytes of a file that cannot be read.
    unreadable: BTreeMap<usize, Range<u64>>,
    syncs: u64,
    /// The files of the log, and whether an operation ran while readers had to wait for them.
    readers: Weak<SegmentList>,
    blocked_readers: bool,
    /// Decides which unsynced sectors reach the disk.
    chance: u64,
}

#[derive(Default, Clone)]
struct Content {
    /// The content that a program reads.
    seen: Vec<u8>,
    /// The content after a power cut.
    kept: Vec<u8>,
    /// Written since the last sync.
    unsynced: Vec<(usize, Vec<u8>)>,
}

impl SimulatedDisk {
    /// A disk on which the operations of these numbers fail. `chance` decides which unsynced
    /// sectors reach the disk.
    pub(super) fn failing(operations: impl IntoIterator<Item = u64>, chance: u64) -> Self {
        let disk = Self::default();
        disk.state().failing = operations.into_iter().collect();
        disk.state().chance = chance;
        disk
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(super) fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// Lets every operation fail from now on, or none.
    pub(super) fn fail(&self, fails: bool) {
        self.state().fails_always = fails;
    }

    pub(super) fn limit(&self, bytes: Option<u64>) {
        self.state().capacity = bytes;
    }

    pub(super) fn used(&self) -> u64 {
        self.state().used()
    }

    /// Some unsynced sectors reach the disk, the others are lost.
    pub(super) fn cut_power(&self) {
        let mut state = self.state();
        for index in 0..state.files.len() {
            state.flush_or_lose(index);
            state.files[index].seen = state.files[index].kept.clone();
        }
    }

    pub(super) fn files(&self) -> Vec<PathBuf> {
        self.state().names.keys().cloned().collect()
    }

    /// Changes a file and what a power cut leaves of it.
    pub(super) fn change<T>(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let mut state = self.state();
        let index = state.names[path];
        let changed = change(&mut state.files[index].seen);
        state.files[index].kept = state.files[index].seen.clone();
        changed
    }

    pub(super) fn make_unreadable(&self, path: &Path, bytes: Range<u64>) {
        let mut state = self.state();
        let index = state.names[path];
        state.unreadable.insert(index, bytes);
    }

    /// Notes from now on whether readers of these files have to wait for an operation.
    pub(super) fn watch_readers(&self, segments: &Arc<SegmentList>) {
        self.state().readers = Arc::downgrade(segments);
    }

    pub(super) fn blocked_readers(&self) -> bool {
        self.state().blocked_readers
    }

    pub(super) fn remove_file(&self, path: &Path) {
        self.state().names.remove(path);
    }

    /// A disk with the same content on which nothing fails.
    pub(super) fn copy(&self) -> Self {
        let state = self.state();
        let copy = Self::default();
        copy.state().names = state.names.clone();
        copy.state().files = state.files.clone();
        copy
    }
}

impl State {
    fn used(&self) -> u64 {
        self.names
            .values()
            .map(|index| self.files[*index].seen.len() as u64)
            .sum()
    }

    fn operate(&mut self) -> Result<()> {
        self.operations += 1;
        let readers = self.readers.upgrade();
        self.blocked_readers |= readers.is_some_and(|segments| segments.is_locked());
        match self.fails_always || self.failing.contains(&self.operations) {
            true => Err(Error::other("the simulated disk failed")),
            false => Ok(()),
        }
    }

    fn flip_a_coin(&mut self) -> bool {
        self.chance = self
            .chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        self.chance >> 63 == 1
    }

    /// Each unsynced sector reaches the disk or is lost.
    fn flush_or_lose(&mut self, index: usize) {
        for (at, bytes) in std::mem::take(&mut self.files[index].unsynced) {
            let mut from = 0;
            while from < bytes.len() {
                let to = bytes.len().min(((at + from) / SECTOR + 1) * SECTOR - at);
                if self.flip_a_coin() {
                    put(&mut self.files[index].kept, at + from, &bytes[from..to]);
                }
                from = to;
            }
        }
    }
}

fn put(content: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if content.len() < at + bytes.len() {
        content.resize(at + bytes.len(), 0);
    }
    content[at..at + bytes.len()].copy_from_slice(bytes);
}

impl Disk for SimulatedDisk {
    fn make_folder(&self, _: &Path) -> Result<()> {
        Ok(())
    }

    fn list(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        let within = |path: &PathBuf| path.starts_with(folder);
        Ok(self.files().into_iter().filter(within).collect())
    }

    fn create(&self, path: &Path, begin: &[u8], bytes: u64) -> Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        state.operate()?;
        if state
            .capacity
            .is_some_and(|capacity| state.used() + bytes > capacity)
        {
            return Err(Error::new(ErrorKind::StorageFull, "no room"));
        }
        let mut content = vec![0; usize::try_from(bytes).unwrap()];
        content[..begin.len()].copy_from_slice(begin);
        let index = state.files.len();
        state.files.push(Content {
            seen: content.clone(),
            kept: content,
            unsynced: Vec::new(),
        });
        assert_eq!(state.names.insert(path.to_owned(), index), None, "{path:?}");
        Ok(Box::new(Opened(self.clone(), index)))
    }

    fn open(&self, path: &Path) -> Result<Box<dyn DiskFile>> {
        let index = self.state().names.get(path).copied();
        let index = index.ok_or(ErrorKind::NotFound)?;
        Ok(Box::new(Opened(self.clone(), index)))
    }

    fn remove(&self, path: &Path) -> Result<()> {
        let mut state = self.state();
        state.operate()?;
        let removed = state.names.remove(path);
        removed.map(drop).ok_or(ErrorKind::NotFound.into())
    }

    fn remove_folder(&self, _: &Path) -> Result<()> {
        Ok(())
    }
}

struct Opened(SimulatedDisk, usize);

impl DiskFile for Opened {
    fn len(&self) -> Result<u64> {
        Ok(self.0.state().files[self.1].seen.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> Result<usize> {
        let state = self.0.state();
        let end = at + buffer.len() as u64;
        let bad = state.unreadable.get(&self.1);
        if bad.is_some_and(|bad| at < bad.end && end > bad.start) {
            return Err(Error::other("a simulated bad sector"));
        }
        let rest = state.files[self.1].seen.get(usize::try_from(at).unwrap()..);
        let rest = rest.unwrap_or_default();
        let got = rest.len().min(buffer.len());
        buffer[..got].copy_from_slice(&rest[..got]);
        Ok(got)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> Result<()> {
        let mut state = self.0.state();
        let done = state.operate();
        // A failed write stops half-way.
        let bytes = if done.is_ok() {
            bytes
        } else {
            &bytes[..bytes.len() / 2]
        };
        let at = usize::try_from(at).unwrap();
        let file = &mut state.files[self.1];
        put(&mut file.seen, at, bytes);
        file.unsynced.push((at, bytes.to_vec()));
        done
    }

    fn sync(&self) -> Result<()> {
        let mut state = self.0.state();
        state.syncs += 1;
        let done = state.operate();
        if done.is_err() {
            // The next sync succeeds without writing what is lost here.
            state.flush_or_lose(self.1);
            return done;
        }
        let file = &mut state.files[self.1];
        for (at, bytes) in std::mem::take(&mut file.unsynced) {
            put(&mut file.kept, at, &bytes);
        }
        Ok(())
    }
}
