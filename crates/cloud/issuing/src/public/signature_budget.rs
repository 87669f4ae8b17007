use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ids::Timestamp;
use throttle::{Bucket, Rate};

/// How many OCSP answers, or lists, the issuing keys may sign. Clients that ask for more are answered later, so
/// that devices that enrol do not wait for those that verify.
pub(super) struct SignatureBudget {
    rate: Rate,
    bucket: Mutex<Bucket>,
}

impl SignatureBudget {
    /// `count` a second, and twice as many at once.
    pub(super) fn new(count: u32) -> Self {
        Self {
            rate: Rate::new(count, Duration::from_secs(1), 2 * count),
            bucket: Mutex::default(),
        }
    }

    /// Whether one more may be signed now.
    pub(super) fn spend(&self, now: Timestamp) -> bool {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        bucket.try_acquire(self.rate, now).is_ok()
    }
}
