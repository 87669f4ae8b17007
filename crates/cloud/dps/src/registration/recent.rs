//! Operations that this process finished lately: most polls come at once, and are then answered without reading the storage.
//!
//! Nothing rests on it. What an operation became never changes, and an operation that is not here, or whose token has expired, is
//! looked up by who proves himself.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use ids::Timestamp;
use provisioning::RegistrationRecord;

use crate::registration::presented::Mark;

/// Operations remembered, about 2 KiB each.
const CAPACITY: usize = 4096;

/// What an operation became, and who may hear of it.
#[derive(Debug)]
struct Outcome {
    mark: Mark,
    record: Arc<RegistrationRecord>,
    /// Until when the credential counts; `None` for a certificate, which the handshake of each connection proves.
    until: Option<Timestamp>,
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
    /// What it began it with counts `until` then, if that ends.
    pub fn remember(
        &self,
        operation: &str,
        (mark, until): (Mark, Option<Timestamp>),
        record: RegistrationRecord,
    ) {
        let mut outcomes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if outcomes.oldest_first.len() >= CAPACITY
            && let Some(oldest) = outcomes.oldest_first.pop_front()
        {
            outcomes.by_operation.remove(&oldest);
        }
        let record = Arc::new(record);
        outcomes.oldest_first.push_back(operation.into());
        outcomes.by_operation.insert(
            operation.into(),
            Outcome {
                mark,
                record,
                until,
            },
        );
    }

    /// What became of an operation, for the device that began it; nothing when its token has expired since.
    #[must_use]
    pub fn find(
        &self,
        operation: &str,
        mark: Mark,
        now: Timestamp,
    ) -> Option<Arc<RegistrationRecord>> {
        let outcomes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = outcomes.by_operation.get(operation)?;
        let counts = outcome.until.is_none_or(|until| now <= until);
        (outcome.mark == mark && counts).then(|| outcome.record.clone())
    }
}

#[cfg(test)]
mod tests {
    use ids::{Etag, RegistrationId};
    use provisioning::{EnrolledBy, RegistrationState};

    use super::*;

    /// A9: an operation that is remembered is told to a token only as long as that counts.
    #[test]
    fn an_expired_token_is_told_nothing() {
        let at = Timestamp::from_unix_seconds;
        let record = RegistrationRecord {
            registration_id: RegistrationId::parse("d").unwrap(),
            enrollment: EnrolledBy::Individual,
            state: RegistrationState::Assigning { previous: None },
            etag: Etag::parse("a").unwrap(),
            created: at(0),
            updated: at(0),
            payload: None,
            detail: None,
        };
        let recent = RecentOperations::default();
        let mark = Mark::Token([1; 32]);
        recent.remember("o", (mark, Some(at(100))), record);
        assert!(recent.find("o", mark, at(100)).is_some());
        assert!(recent.find("o", mark, at(101)).is_none());
        assert!(recent.find("o", Mark::Token([2; 32]), at(100)).is_none());
    }
}
