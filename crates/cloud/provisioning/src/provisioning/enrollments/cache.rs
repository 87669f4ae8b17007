//! Enrollments as last read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use store::EnrollmentVersion;

use crate::enrollment::EnrollmentRecord;

/// Enrollments remembered at most.
const REMEMBERED: usize = 4096;

/// Enrollments by row id. Each use asks the database whether the etag is still the same; only
/// the parsing is saved.
#[derive(Default)]
pub(in super::super) struct EnrollmentCache(Mutex<HashMap<i64, Arc<EnrollmentRecord>>>);

impl EnrollmentCache {
    pub(super) fn get(&self, version: &EnrollmentVersion) -> Option<Arc<EnrollmentRecord>> {
        let enrollments = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        enrollments
            .get(&version.id)
            .filter(|enrollment| enrollment.etag == version.etag)
            .cloned()
    }

    pub(super) fn put(&self, id: i64, record: &Arc<EnrollmentRecord>) {
        let mut enrollments = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if enrollments.len() >= REMEMBERED {
            enrollments.clear();
        }
        enrollments.insert(id, record.clone());
    }
}
