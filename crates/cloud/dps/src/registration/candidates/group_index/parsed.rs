use std::sync::{Arc, PoisonError, RwLock};

use provisioning::{EnrollmentRecord, MAX_KEYED_GROUPS};

use crate::bounded::Bounded;
use crate::registration::enrollment::{Enrollment, UnreadableEnrollment};

/// Groups that are kept parsed: all that the index holds, about 4 KiB each.
const CAPACITY: usize = super::MOST + MAX_KEYED_GROUPS;

/// Groups that were parsed before, by their etags. Each is used only for the very record
/// that it was parsed from.
#[derive(Debug)]
pub struct ParsedGroups(RwLock<Bounded<String, Parsed>>);

#[derive(Debug)]
struct Parsed {
    source: Arc<EnrollmentRecord>,
    group: Arc<Enrollment>,
}

impl Default for ParsedGroups {
    fn default() -> Self {
        Self(RwLock::new(Bounded::new(CAPACITY)))
    }
}

impl ParsedGroups {
    /// Fails when one of the records cannot be parsed.
    pub fn all(
        &self,
        records: &[Arc<EnrollmentRecord>],
    ) -> Result<Vec<Arc<Enrollment>>, UnreadableEnrollment> {
        records.iter().map(|record| self.one(record)).collect()
    }

    fn one(&self, record: &Arc<EnrollmentRecord>) -> Result<Arc<Enrollment>, UnreadableEnrollment> {
        // Etags are random.
        let version = record.etag.as_str();
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(Parsed { source, group }) = known.get(version)
            && (Arc::ptr_eq(source, record) || source == record)
        {
            return Ok(Arc::clone(group));
        }
        drop(known);
        let group = Arc::new(Enrollment::parse(record)?);
        let parsed = Parsed {
            source: Arc::clone(record),
            group: Arc::clone(&group),
        };
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(version.to_owned(), parsed);
        Ok(group)
    }
}
