//! How the endpoints are, as far as this process knows.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use ids::{EndpointName, HubName, Timestamp};
use wire::muster_api::routing::HealthStatus;

/// What the attempts at an endpoint came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attempts {
    pub(crate) status: HealthStatus,
    pub(crate) last: Option<Timestamp>,
    pub(crate) last_success: Option<Timestamp>,
    pub(crate) last_error: Option<(String, Timestamp)>,
    /// How far the delivery is, once its cursor is read. The stored one may be behind it.
    pub(crate) position: Option<u64>,
}

impl Attempts {
    const NONE: Self = Self {
        status: HealthStatus::Unknown,
        last: None,
        last_success: None,
        last_error: None,
        position: None,
    };
}

type Key = (HubName, EndpointName);

/// The attempts at each endpoint.
#[derive(Debug, Default)]
pub(crate) struct EndpointHealth(Mutex<HashMap<Key, Attempts>>);

impl EndpointHealth {
    pub(crate) fn of(&self, key: &Key) -> Attempts {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(key).cloned().unwrap_or(Attempts::NONE)
    }

    fn change(&self, key: &Key, change: impl FnOnce(&mut Attempts)) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(known.entry(key.clone()).or_insert(Attempts::NONE));
    }

    pub(super) fn note_position(&self, key: &Key, position: u64) {
        self.change(key, |attempts| attempts.position = Some(position));
    }

    pub(super) fn note_success(&self, key: &Key, now: Timestamp) {
        self.change(key, |attempts| {
            attempts.status = HealthStatus::Healthy;
            attempts.last = Some(now);
            attempts.last_success = Some(now);
        });
    }

    pub(super) fn note_failure(&self, key: &Key, error: String, now: Timestamp) {
        self.change(key, |attempts| {
            attempts.status = HealthStatus::Unhealthy;
            attempts.last = Some(now);
            attempts.last_error = Some((error, now));
        });
    }

    /// Forgets the others.
    pub(super) fn retain(&self, wanted: impl Fn(&Key) -> bool) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|key, _| wanted(key));
    }
}
