use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use provisioning::EnrollmentRecord;

use crate::registration::enrollment::{BadRecord, Entry};

/// Groups that were read lately, with their certificates parsed: a fleet registers through a handful of them.
///
/// Holds at most its capacity; when full it starts again from nothing. An entry is used only for the very record it was read from.
#[derive(Debug)]
pub struct GroupCache {
    capacity: usize,
    known: RwLock<HashMap<String, Known>>,
}

/// An entry beside the record it was read from.
#[derive(Debug)]
struct Known {
    source: Arc<EnrollmentRecord>,
    entry: Arc<Entry>,
}

impl GroupCache {
    /// A cache for at most `capacity` groups.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            known: RwLock::default(),
        }
    }

    /// Reads the records of groups, or finds them read.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub fn entries(&self, records: &[Arc<EnrollmentRecord>]) -> Result<Vec<Arc<Entry>>, BadRecord> {
        records.iter().map(|record| self.entry(record)).collect()
    }

    /// Reads a group's record, or finds it read.
    ///
    /// # Errors
    /// When the record cannot be read.
    pub fn entry(&self, record: &Arc<EnrollmentRecord>) -> Result<Arc<Entry>, BadRecord> {
        // Etags are random; names are not one service's alone.
        let version = record.etag.as_str();
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(Known { source, entry }) = known.get(version)
            && (Arc::ptr_eq(source, record) || source == record)
        {
            return Ok(Arc::clone(entry));
        }
        drop(known);
        let entry = Arc::new(Entry::read(record)?);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= self.capacity {
            known.clear();
        }
        let (source, read) = (Arc::clone(record), Arc::clone(&entry));
        known.insert(
            version.to_owned(),
            Known {
                source,
                entry: read,
            },
        );
        Ok(entry)
    }
}
