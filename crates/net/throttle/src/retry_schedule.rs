//! Retry-After times, given out one after the other. Nothing queues here: a schedule remembers only
//! until when times have been given out, and the client remembers its own.

use std::time::Duration;

use ids::Timestamp;

/// The longest wait that a client is given.
pub const MAX_WAIT: Duration = Duration::from_secs(300);
/// The shortest wait: `Retry-After` counts whole seconds.
pub const MIN_WAIT: Duration = Duration::from_secs(1);
/// `Retry-After` has a resolution of 1 s, so clients bunch up. A client that returns on time and
/// still finds no capacity is scheduled again with up to this much jitter.
const OVERBOOKED_JITTER: Duration = Duration::from_secs(8);
/// A client may come this much before its scheduled time.
const EARLY_TOLERANCE: Duration = Duration::from_millis(250);

/// The capacity that is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Headroom {
    Exhausted,
    /// Some, kept for clients whose scheduled time has come.
    Reserved,
    /// Enough for clients without a scheduled time.
    Ample,
}

/// Where a client stands between 0 and 1 in everything that is spread over time. The same client
/// has always the same jitter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Jitter(f64);

impl Jitter {
    pub fn from_hash(hash: u64) -> Self {
        Self(f64::from((hash >> 32) as u32) / f64::from(u32::MAX))
    }

    fn part_of(self, whole: Duration) -> Duration {
        whole.mul_f64(self.0)
    }
}

/// The pace at which capacity becomes available.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Time until there is capacity for one more.
    pub available_in: Duration,
    /// Time from one admitted client to the next.
    pub interval: Duration,
}

/// The times that were given out.
#[derive(Debug, Clone, Copy)]
pub struct RetrySchedule {
    booked_until: Timestamp,
    /// The same for clients that returned on time and found no capacity, because more was promised
    /// than could be kept. They get a second time before newcomers get their first.
    rebooked_until: Timestamp,
}

impl Default for RetrySchedule {
    fn default() -> Self {
        Self {
            booked_until: Timestamp::NEVER,
            rebooked_until: Timestamp::NEVER,
        }
    }
}

impl RetrySchedule {
    /// How long it takes to serve every client that has a scheduled time.
    pub fn backlog(&self, now: Timestamp) -> Duration {
        let until = self.booked_until.max(self.rebooked_until);
        until.since(now).min(MAX_WAIT)
    }

    /// Whether a client with this scheduled time may enter.
    pub fn admits(&self, headroom: Headroom, scheduled: Option<Timestamp>, now: Timestamp) -> bool {
        match headroom {
            Headroom::Exhausted => false,
            Headroom::Ample => true,
            Headroom::Reserved => is_due(scheduled, now) || self.backlog(now).is_zero(),
        }
    }

    /// Gives a refused client the time at which it is to return.
    ///
    /// A client that came too early keeps the time that it has. When the backlog is longer than the
    /// longest wait, clients are spread over the second half of that wait.
    pub fn schedule(
        &mut self,
        scheduled: Option<Timestamp>,
        pace: Pace,
        jitter: Jitter,
        now: Timestamp,
    ) -> Timestamp {
        let soonest = pace.available_in.max(MIN_WAIT);
        // After a clock was set back, no wait is longer than the longest.
        self.booked_until = self.booked_until.min(now.plus(MAX_WAIT + MIN_WAIT));
        self.rebooked_until = self.rebooked_until.min(now.plus(MAX_WAIT + MIN_WAIT));
        let (backlog, until, spread) = match scheduled {
            Some(scheduled) if is_due(Some(scheduled), now) => {
                let backlog = self.rebooked_until.since(now);
                (backlog, &mut self.rebooked_until, OVERBOOKED_JITTER)
            }
            Some(scheduled) if scheduled.since(now) <= MAX_WAIT + MAX_WAIT / 8 => return scheduled,
            // Scheduled by a clock that was ahead, or not scheduled.
            _ => (self.backlog(now), &mut self.booked_until, Duration::ZERO),
        };
        if backlog >= MAX_WAIT {
            let half = MAX_WAIT / 2;
            return now.plus(half + jitter.part_of(half));
        }
        let wait = backlog.max(soonest);
        *until = now.plus(wait + pace.interval);
        // The measured pace is never exact, and the error grows with the wait; so does the jitter.
        let more = jitter.part_of(spread.max(wait / 8)).as_secs();
        now.plus(wait + Duration::from_secs(more))
    }
}

/// Whether the scheduled time of a client has come.
pub fn is_due(scheduled: Option<Timestamp>, now: Timestamp) -> bool {
    scheduled.is_some_and(|scheduled| scheduled <= now.plus(EARLY_TOLERANCE))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);
    const MIDDLE: Jitter = Jitter(0.5);

    fn pace(available_in: Duration, interval: Duration) -> Pace {
        Pace {
            available_in,
            interval,
        }
    }

    fn every(interval: Duration) -> Pace {
        pace(Duration::ZERO, interval)
    }

    #[test]
    fn times_are_given_out_one_after_the_other() {
        let mut schedule = RetrySchedule::default();
        let pace = every(Duration::from_millis(100));
        let waits: Vec<u64> = (0..30)
            .map(|_| schedule.schedule(None, pace, Jitter(0.0), START))
            .map(|time| u64::try_from(time.since(START).as_millis()).unwrap())
            .collect();
        assert_eq!(waits[..4], [1000, 1100, 1200, 1300]);
        assert_eq!(waits[29], 3900);
        assert_eq!(schedule.backlog(START), Duration::from_secs(4));
        let later = START.plus(Duration::from_secs(4));
        assert!(schedule.backlog(later).is_zero());
    }

    #[test]
    fn reserved_headroom_is_for_clients_that_are_due() {
        let mut schedule = RetrySchedule::default();
        assert!(
            schedule.admits(Headroom::Reserved, None, START),
            "no client has a scheduled time"
        );
        let time = schedule.schedule(None, every(Duration::from_secs(5)), MIDDLE, START);
        assert!(!schedule.admits(Headroom::Reserved, None, START));
        assert!(!schedule.admits(Headroom::Reserved, Some(time), START));
        assert!(schedule.admits(Headroom::Reserved, Some(time), time));
        assert!(schedule.admits(Headroom::Ample, None, START));
        assert!(!schedule.admits(Headroom::Exhausted, Some(time), time));
    }

    #[test]
    fn coming_early_gains_nothing_and_costs_other_clients_nothing() {
        let mut schedule = RetrySchedule::default();
        let pace = every(Duration::from_secs(2));
        let time = schedule.schedule(None, pace, MIDDLE, START);
        let backlog = schedule.backlog(START);
        for _ in 0..100 {
            assert_eq!(schedule.schedule(Some(time), pace, MIDDLE, START), time);
        }
        assert_eq!(schedule.backlog(START), backlog);
        let again = schedule.schedule(Some(time), pace, MIDDLE, time);
        assert!(again >= time.plus(MIN_WAIT) && again <= time.plus(MIN_WAIT + OVERBOOKED_JITTER));
    }

    #[test]
    fn a_clock_set_back_delays_a_client_for_the_longest_wait_at_most() {
        let mut schedule = RetrySchedule::default();
        let ahead = START.plus(Duration::from_secs(86_400));
        let pace = every(Duration::from_secs(1));
        let time = schedule.schedule(None, pace, MIDDLE, ahead);
        assert!(schedule.backlog(START) <= MAX_WAIT);
        let again = schedule.schedule(Some(time), pace, MIDDLE, START);
        assert!(again.since(START) <= MAX_WAIT);
    }

    proptest! {
        /// Waits are between the shortest and the longest (and its jitter), and no period has more
        /// scheduled clients than fit into it.
        #[test]
        fn waits_are_bounded_and_scheduled_clients_fit(
            interval_us in 100u64..2_000_000, available_ms in 0u64..20_000,
            gaps in prop::collection::vec(0u64..500, 1..300), seed in any::<u64>(),
        ) {
            let interval = Duration::from_micros(interval_us);
            let available_in = Duration::from_millis(available_ms);
            let (mut schedule, mut now, mut hash) = (RetrySchedule::default(), START, seed);
            for gap in gaps {
                now = now.plus(Duration::from_millis(gap));
                hash = hash.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let before = schedule.backlog(now);
                let jitter = Jitter::from_hash(hash);
                let time = schedule.schedule(None, pace(available_in, interval), jitter, now);
                let wait = time.since(now);
                prop_assert!(wait >= MIN_WAIT && wait <= MAX_WAIT + MAX_WAIT / 8);
                if before < MAX_WAIT {
                    let after = now.plus(before.max(available_in).max(MIN_WAIT) + interval);
                    prop_assert_eq!(schedule.backlog(now), after.since(now).min(MAX_WAIT));
                }
            }
        }
    }
}
