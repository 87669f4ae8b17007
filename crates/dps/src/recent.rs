//! Operations that this process finished lately: most polls come at once, and are then answered without reading the storage.
//!
//! Nothing rests on it. What an operation became never changes, and an operation that is not here is looked up.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use registry::RegistrationRecord;

use crate::presented::Mark;

/// Operations remembered, about 2 KiB each.
const CAPACITY: usize = 4096;

/// What an operation became, and who may hear of it.
#[derive(Debug)]
struct Outcome {
    mark: Mark,
    record: Arc<RegistrationRecord>,
}

#[derive(Debug, Default)]
struct Outcomes {
    by_operation: HashMap<Box<str>, Outcome>,
    oldest_first: VecDeque<Box<str>>,
}

/// The memory. Bounded; the oldest leave first.
#[derive(Debug, Default)]
pub struct RecentOperations(Mutex<Outcomes>);

impl RecentOperations {
    /// Keeps what became of an operation that the device with this credential began.
    pub fn remember(&self, operation: &str, mark: Mark, record: RegistrationRecord) {
        let mut outcomes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if outcomes.oldest_first.len() >= CAPACITY
            && let Some(oldest) = outcomes.oldest_first.pop_front()
        {
            outcomes.by_operation.remove(&oldest);
        }
        let record = Arc::new(record);
        outcomes.oldest_first.push_back(operation.into());
        outcomes
            .by_operation
            .insert(operation.into(), Outcome { mark, record });
    }

    /// What became of an operation, for the device that began it.
    #[must_use]
    pub fn find(&self, operation: &str, mark: Mark) -> Option<Arc<RegistrationRecord>> {
        let outcomes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = outcomes.by_operation.get(operation)?;
        (outcome.mark == mark).then(|| outcome.record.clone())
    }
}
