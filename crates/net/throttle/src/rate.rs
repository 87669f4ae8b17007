//! Token buckets: a sustained rate and a burst.

use std::time::Duration;

use ids::Timestamp;

/// A limit of events: a sustained rate and a burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Ticks of 100 ns until one more token is available.
    interval: i64,
    burst: u32,
}

impl Rate {
    /// `count` tokens `per` time in the long run, `burst` of them at once. Zero counts as one.
    #[must_use]
    pub fn new(count: u32, per: Duration, burst: u32) -> Self {
        Self {
            interval: (ticks(per) / i64::from(count.max(1))).max(1),
            burst: burst.max(1),
        }
    }

    /// Time until one more token is available.
    #[must_use]
    pub fn interval(self) -> Duration {
        duration_of_ticks(self.interval)
    }

    /// Tokens of a full bucket.
    #[must_use]
    pub fn burst(self) -> u32 {
        self.burst
    }

    fn window(self) -> i64 {
        self.interval.saturating_mul(i64::from(self.burst))
    }
}

fn ticks(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos() / 100).unwrap_or(i64::MAX)
}

fn duration_of_ticks(ticks: i64) -> Duration {
    Duration::from_nanos(u64::try_from(ticks).unwrap_or(0).saturating_mul(100))
}

/// What is left of a [`Rate`]: the moment when all of its tokens are available again.
/// New buckets are full.
///
/// One number instead of a count and a time (the generic cell rate algorithm), because there is one
/// of these for every client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bucket {
    full_at: i64,
}

impl Bucket {
    /// Takes a token; the error is the time until one is available.
    pub fn try_acquire(&mut self, rate: Rate, now: Timestamp) -> Result<(), Duration> {
        self.take(rate, 1, Duration::ZERO, now).map(|_none| ())
    }

    /// Takes tokens that may become available within `patience`, and says in which time; at most a
    /// full bucket of them. The error is the time until they are available.
    pub fn take(
        &mut self,
        rate: Rate,
        count: u32,
        patience: Duration,
        now: Timestamp,
    ) -> Result<Duration, Duration> {
        let (now, patience) = (now.ticks(), ticks(patience));
        let tokens = rate
            .interval
            .saturating_mul(i64::from(count.min(rate.burst)));
        let latest = rate.window().saturating_add(patience);
        let full_at = self.full_at.clamp(now, now.saturating_add(latest));
        let full_at = full_at.saturating_add(tokens);
        let over = full_at - now - rate.window();
        if over > patience {
            return Err(duration_of_ticks(over));
        }
        self.full_at = full_at;
        Ok(duration_of_ticks(over))
    }

    /// Time until a token is available.
    pub fn wait(mut self, rate: Rate, now: Timestamp) -> Duration {
        self.try_acquire(rate, now).err().unwrap_or_default()
    }

    /// Tokens that are available.
    pub fn level(self, rate: Rate, now: Timestamp) -> u32 {
        let now = now.ticks();
        let used = (self.full_at(rate, now) - now + rate.interval - 1) / rate.interval;
        rate.burst
            .saturating_sub(u32::try_from(used).unwrap_or(u32::MAX))
    }

    /// When the bucket is full again, at the latest a whole window from now: a clock that was set
    /// back must not lock a client out.
    fn full_at(self, rate: Rate, now: i64) -> i64 {
        self.full_at.clamp(now, now.saturating_add(rate.window()))
    }

    /// When the bucket is, or was, full again; orders buckets by their last use.
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
            assert_eq!(bucket.try_acquire(rate, START), Ok(()));
            assert_eq!(bucket.level(rate, START), left);
        }
        assert_eq!(bucket.try_acquire(rate, START), Err(Duration::from_secs(2)));
        let later = START.plus(Duration::from_millis(1_500));
        assert_eq!(
            bucket.try_acquire(rate, later),
            Err(Duration::from_millis(500))
        );
        assert_eq!(
            bucket.try_acquire(rate, START.plus(Duration::from_secs(2))),
            Ok(())
        );
    }

    #[test]
    fn a_clock_set_back_locks_out_for_one_window_at_most() {
        let rate = Rate::new(1, Duration::from_secs(1), 4);
        let mut bucket = Bucket::default();
        let ahead = START.plus(Duration::from_secs(3600));
        while bucket.try_acquire(rate, ahead).is_ok() {}
        let wait = bucket.try_acquire(rate, START).unwrap_err();
        assert!(wait <= Duration::from_secs(1), "{wait:?}");
    }

    proptest! {
        /// No period has more tokens than the burst and the rate allow, and a client that waits as
        /// long as the error says gets one.
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
                match bucket.try_acquire(rate, now) {
                    Ok(()) => {
                        prop_assert!(level > 0);
                        taken.push(now);
                    }
                    Err(wait) => {
                        prop_assert!(level == 0 && !wait.is_zero() && wait <= rate.interval());
                        let mut patient = bucket;
                        prop_assert_eq!(patient.try_acquire(rate, now.plus(wait)), Ok(()));
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
