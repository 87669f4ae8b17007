//! Two schedules for one capacity, so that known clients do not wait behind names
//! that anybody can invent.

use std::time::Duration;

use ids::Timestamp;

use crate::retry_schedule::{Headroom, Jitter, Pace, RetrySchedule, is_due};

/// Which of the two schedules a client belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// The client has proved its identity before, or other clients of its address have lately.
    Known,
    /// Neither the client nor its address is remembered as known.
    Newcomer,
}

/// A client that asks to start.
#[derive(Debug, Clone, Copy)]
pub struct Attempt {
    pub tier: Tier,
    /// The time that the client was given when it was refused before.
    pub scheduled: Option<Timestamp>,
    pub jitter: Jitter,
}

#[derive(Debug, Clone, Default)]
pub struct TieredSchedule {
    known: RetrySchedule,
    newcomers: RetrySchedule,
}

impl TieredSchedule {
    /// How long it takes to serve every client that has a scheduled time.
    pub fn backlog(&self, now: Timestamp) -> Duration {
        self.known.backlog(now).max(self.newcomers.backlog(now))
    }

    /// Whether a client may enter.
    pub fn admits(&self, attempt: Attempt, headroom: Headroom, now: Timestamp) -> bool {
        let scheduled = attempt.scheduled;
        match attempt.tier {
            Tier::Known => self.known.admits(headroom, scheduled, now),
            // Reserved capacity is not for a newcomer without a scheduled time while known clients
            // wait.
            Tier::Newcomer => {
                let no_known_waits = || self.known.backlog(now).is_zero();
                let reserved_for_others =
                    headroom == Headroom::Reserved && !is_due(scheduled, now) && !no_known_waits();
                !reserved_for_others && self.newcomers.admits(headroom, scheduled, now)
            }
        }
    }

    /// Gives a refused client the time at which it is to return. While both tiers have a backlog,
    /// three of four times go to known clients.
    pub fn schedule(&mut self, attempt: Attempt, pace: Pace, now: Timestamp) -> Timestamp {
        let (schedule, other, shared) = match attempt.tier {
            Tier::Known => (&mut self.known, &self.newcomers, pace.interval * 4 / 3),
            Tier::Newcomer => (&mut self.newcomers, &self.known, pace.interval * 4),
        };
        let interval = if other.backlog(now).is_zero() {
            pace.interval
        } else {
            shared
        };
        let pace = Pace { interval, ..pace };
        schedule.schedule(attempt.scheduled, pace, attempt.jitter, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);
    const PACE: Pace = Pace {
        available_in: Duration::ZERO,
        interval: Duration::from_millis(100),
    };

    fn attempt(tier: Tier, scheduled: Option<Timestamp>, hash: u64) -> Attempt {
        Attempt {
            tier,
            scheduled,
            jitter: Jitter::from_hash(hash),
        }
    }

    #[test]
    fn invented_names_do_not_delay_known_clients() {
        let mut schedule = TieredSchedule::default();
        for number in 0..100_000_u64 {
            schedule.schedule(attempt(Tier::Newcomer, None, number << 40), PACE, START);
        }
        let time = schedule.schedule(attempt(Tier::Known, None, 0), PACE, START);
        assert!(time.since(START) <= Duration::from_secs(2));
        let returned = attempt(Tier::Known, Some(time), 0);
        assert!(schedule.admits(returned, Headroom::Reserved, time));
        // Newcomers do not overtake known clients, unless their own time has come.
        let newcomer = |scheduled| attempt(Tier::Newcomer, scheduled, 0);
        assert!(!schedule.admits(newcomer(None), Headroom::Reserved, START));
        assert!(schedule.admits(newcomer(Some(START)), Headroom::Reserved, START));
        assert!(schedule.admits(newcomer(None), Headroom::Ample, START));
    }
}
