//! The cap on the starts of one scope.

use std::time::Duration;

use ids::Timestamp;

use crate::rate::{Bucket, Rate};
use crate::retry_schedule::{Headroom, Pace};
use crate::tiers::TieredSchedule;

const MINUTE: Duration = Duration::from_secs(60);
/// A sixth of a minute's starts may come at once.
const BURST_DIVISOR: u32 = 6;

/// Starts a minute, ten seconds' worth of them at once.
#[derive(Debug, Clone)]
pub struct Quota {
    rate: Rate,
    bucket: Bucket,
    /// Of clients that were refused because the quota was used up.
    pub schedule: TieredSchedule,
}

impl Quota {
    /// A quota of which nothing is used.
    pub fn per_minute(starts: u32) -> Self {
        Self {
            rate: Rate::new(starts, MINUTE, starts / BURST_DIVISOR),
            bucket: Bucket::default(),
            schedule: TieredSchedule::default(),
        }
    }

    pub fn headroom(&self, now: Timestamp) -> Headroom {
        let level = self.bucket.level(self.rate, now);
        // A full bucket shows that the clients with a scheduled time did not come.
        if level == 0 {
            Headroom::Exhausted
        } else if level == self.rate.burst() && level > 1 {
            Headroom::Ample
        } else {
            Headroom::Reserved
        }
    }

    /// Uses one start, for which there is headroom.
    pub fn consume(&mut self, now: Timestamp) {
        // Headroom was found under the same lock; without it there is nothing to consume.
        let _ = self.bucket.try_acquire(self.rate, now);
    }

    pub fn pace(&self, now: Timestamp) -> Pace {
        Pace {
            available_in: self.bucket.wait(self.rate, now),
            interval: self.rate.interval(),
        }
    }
}
