//! The cap of one provisioning service on its registrations.

use std::time::Duration;

use ids::Timestamp;

use super::bucket::{Bucket, Rate};
use super::line::Room;
use super::lines::Lines;

const MINUTE: Duration = Duration::from_secs(60);
/// Part of a minute's registrations that may come at once.
const AT_ONCE: u32 = 6;

/// So many registrations a minute, ten seconds' worth of them at once.
#[derive(Debug, Clone)]
pub struct Quota {
    rate: Rate,
    bucket: Bucket,
    /// Those who were sent away for want of quota.
    pub lines: Lines,
}

impl Quota {
    /// A quota of which nothing is used.
    #[must_use]
    pub fn per_minute(registrations: u32) -> Self {
        Self {
            rate: Rate::new(registrations, MINUTE, registrations / AT_ONCE),
            bucket: Bucket::default(),
            lines: Lines::default(),
        }
    }

    /// The room that is left.
    #[must_use]
    pub fn room(&self, now: Timestamp) -> Room {
        let level = self.bucket.level(self.rate, now);
        // A full bucket says that those who were told to come did not.
        if level == 0 {
            Room::Full
        } else if level == self.rate.burst() && level > 1 {
            Room::Plenty
        } else {
            Room::Scarce
        }
    }

    /// Uses one, of which there is room.
    pub fn take(&mut self, now: Timestamp) {
        // Room was found under the same lock; without it there is nothing to take.
        let _ = self.bucket.take(self.rate, now);
    }

    /// How long it takes until there is room, and how long one turn takes.
    #[must_use]
    pub fn turn(&self, now: Timestamp) -> (Duration, Duration) {
        (self.bucket.wait(self.rate, now), self.rate.interval())
    }
}
