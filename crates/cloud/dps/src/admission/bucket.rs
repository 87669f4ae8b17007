//! How often something may happen: so many times at once, and again once per interval.

use std::time::Duration;

use ids::Timestamp;

/// A rate with room for a burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Ticks of 100 ns until there is room for one more.
    interval: i64,
    burst: u32,
}

impl Rate {
    /// `count` times `per` time in the long run, `burst` of them at once; at least one of each.
    #[must_use]
    pub fn new(count: u32, per: Duration, burst: u32) -> Self {
        let ticks = i64::try_from(per.as_nanos() / 100).unwrap_or(i64::MAX);
        Self {
            interval: (ticks / i64::from(count.max(1))).max(1),
            burst: burst.max(1),
        }
    }

    /// How long it takes until there is room for one more.
    #[must_use]
    pub fn interval(self) -> Duration {
        ticks(self.interval)
    }

    /// How often at once.
    #[must_use]
    pub fn burst(self) -> u32 {
        self.burst
    }

    fn window(self) -> i64 {
        self.interval.saturating_mul(i64::from(self.burst))
    }
}

fn ticks(ticks: i64) -> Duration {
    Duration::from_nanos(u64::try_from(ticks).unwrap_or(0).saturating_mul(100))
}

/// What is left of a [`Rate`]: the moment when all of it will be there again. Full at first.
///
/// One number instead of a count and a time (the generic cell rate algorithm), because there is one of these for every device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bucket {
    full_at: i64,
}

impl Bucket {
    /// Takes one.
    ///
    /// # Errors
    /// When there is none: how long until there is.
    pub fn take(&mut self, rate: Rate, now: Timestamp) -> Result<(), Duration> {
        let now = now.ticks();
        let full_at = self.full_at(rate, now) + rate.interval;
        let over = full_at - now - rate.window();
        if over > 0 {
            return Err(ticks(over));
        }
        self.full_at = full_at;
        Ok(())
    }

    /// How long until there is one.
    #[must_use]
    pub fn wait(mut self, rate: Rate, now: Timestamp) -> Duration {
        self.take(rate, now).err().unwrap_or_default()
    }

    /// How many there are.
    #[must_use]
    pub fn level(self, rate: Rate, now: Timestamp) -> u32 {
        let now = now.ticks();
        let used = (self.full_at(rate, now) - now + rate.interval - 1) / rate.interval;
        rate.burst
            .saturating_sub(u32::try_from(used).unwrap_or(u32::MAX))
    }

    /// When it is full again, at the latest a whole window from now: a clock that was set back must not lock anybody out.
    fn full_at(self, rate: Rate, now: i64) -> i64 {
        self.full_at.clamp(now, now.saturating_add(rate.window()))
    }

    /// When it is, or was, full again; orders buckets by their last use.
    #[must_use]
    pub fn last_use(self) -> Timestamp {
        Timestamp::from_ticks(self.full_at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);

    #[test]
    fn a_burst_then_one_per_interval() {
        let rate = Rate::new(5, Duration::from_secs(10), 3);
        let mut bucket = Bucket::default();
        assert_eq!(bucket.level(rate, START), 3);
        for left in [2, 1, 0] {
            assert_eq!(bucket.take(rate, START), Ok(()));
            assert_eq!(bucket.level(rate, START), left);
        }
        assert_eq!(bucket.take(rate, START), Err(Duration::from_secs(2)));
        let later = START.plus(Duration::from_millis(1_500));
        assert_eq!(bucket.take(rate, later), Err(Duration::from_millis(500)));
        assert_eq!(
            bucket.take(rate, START.plus(Duration::from_secs(2))),
            Ok(())
        );
    }

    #[test]
    fn a_clock_that_is_set_back_locks_nobody_out_for_longer_than_a_window() {
        let rate = Rate::new(1, Duration::from_secs(1), 4);
        let mut bucket = Bucket::default();
        let ahead = START.plus(Duration::from_secs(3600));
        while bucket.take(rate, ahead).is_ok() {}
        let wait = bucket.take(rate, START).unwrap_err();
        assert!(wait <= Duration::from_secs(1), "{wait:?}");
    }

    proptest! {
        /// In any stretch of time no more than the burst and what the rate brings; and whoever waits as long as it is told gets one.
        #[test]
        fn never_more_than_the_rate_and_always_eventually(
            count in 1u32..50, per_ms in 1u64..20_000, burst in 1u32..20,
            gaps in prop::collection::vec(0u64..3_000, 1..200),
        ) {
            let rate = Rate::new(count, Duration::from_millis(per_ms), burst);
            let mut bucket = Bucket::default();
            let mut taken: Vec<Timestamp> = Vec::new();
            let mut now = START;
            for gap in gaps {
                now = now.plus(Duration::from_millis(gap));
                let level = bucket.level(rate, now);
                match bucket.take(rate, now) {
                    Ok(()) => {
                        prop_assert!(level > 0);
                        taken.push(now);
                    }
                    Err(wait) => {
                        prop_assert!(level == 0 && !wait.is_zero() && wait <= rate.interval());
                        let mut patient = bucket;
                        prop_assert_eq!(patient.take(rate, now.plus(wait)), Ok(()));
                    }
                }
            }
            for (first, &begin) in taken.iter().enumerate() {
                for (last, &end) in taken.iter().enumerate().skip(first) {
                    let brought = end.since(begin).as_nanos() / rate.interval().as_nanos();
                    let most = u128::from(burst) + brought;
                    prop_assert!((last - first + 1) as u128 <= most);
                }
            }
        }
    }
}
