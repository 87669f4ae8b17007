//! Operations that this process finished lately: most polls come at once, and are then
//! answered without reading the store.
//!
//! Nothing depends on it. The outcome of an operation never changes, and for an operation that is
//! not here, or whose token has expired, the device has to prove itself.

use std::sync::{Arc, Mutex, PoisonError};

use ids::Timestamp;
use provisioning::RegistrationRecord;

use crate::bounded::Bounded;
use crate::registration::presented::CredentialFingerprint;

/// Operations remembered, about 2 KiB each.
const CAPACITY: usize = 4096;

#[derive(Debug)]
pub struct RecentOperations(Mutex<Bounded<Box<str>, Finished>>);

/// The outcome of an operation, and which device may read it.
#[derive(Debug)]
struct Finished {
    credential: CredentialFingerprint,
    record: Arc<RegistrationRecord>,
    /// Until when the credential counts; `None` for a certificate, which the
    /// handshake of each connection proves.
    until: Option<Timestamp>,
}

impl Default for RecentOperations {
    fn default() -> Self {
        Self(Mutex::new(Bounded::new(CAPACITY)))
    }
}

impl RecentOperations {
    /// Keeps the outcome for the device that began the operation with this
    /// credential, which counts `until` then.
    pub fn remember(
        &self,
        operation: &str,
        (credential, until): (CredentialFingerprint, Option<Timestamp>),
        record: RegistrationRecord,
    ) {
        let finished = Finished {
            credential,
            record: Arc::new(record),
            until,
        };
        let mut operations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        operations.insert(operation.into(), finished);
    }

    /// The outcome, for the device that began the operation; `None` when
    /// its token has expired since.
    pub fn find(
        &self,
        operation: &str,
        credential: CredentialFingerprint,
        now: Timestamp,
    ) -> Option<Arc<RegistrationRecord>> {
        let operations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let finished = operations.get(operation)?;
        let counts = finished.until.is_none_or(|until| now <= until);
        (finished.credential == credential && counts).then(|| finished.record.clone())
    }
}

#[cfg(test)]
mod tests {
    use ids::{Etag, RegistrationId};
    use provisioning::{EnrolledBy, RegistrationState};

    use super::*;

    /// A9: a token reads the outcome of an operation only as long as it counts.
    #[test]
    fn an_expired_token_reads_no_outcome() {
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
        let token = CredentialFingerprint::Token([1; 32]);
        recent.remember("o", (token, Some(at(100))), record);
        assert!(recent.find("o", token, at(100)).is_some());
        assert!(recent.find("o", token, at(101)).is_none());
        assert!(
            recent
                .find("o", CredentialFingerprint::Token([2; 32]), at(100))
                .is_none()
        );
    }
}
