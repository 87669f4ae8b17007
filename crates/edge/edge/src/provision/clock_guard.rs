//! Whether the machine's clock can be believed, and what the time is if it cannot.
//!
//! Devices without a battery start in 1970, and a dead or set one may be anywhere. Three witnesses
//! are compared: the clock, the last time that was known to be right, and the `Date` of servers
//! that the device trusts. A wrong clock harms nothing: code that decides by the time asks here, and
//! a certificate is not called expired by a clock that nobody confirms. When the clock is set, it
//! agrees with the servers again, and is believed again.

use std::time::Duration;

use ids::Timestamp;

use crate::clock::EARLIEST;

/// A difference that is no fault.
pub const TOLERANCE: Duration = Duration::from_secs(300);
/// A clock that is so late ahead of the last known time is not believed without a server.
const LONGEST_ABSENCE: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// How often the time is written to disk.
const KEEP_EVERY: Duration = Duration::from_secs(6 * 3600);
/// How long, and how often, servers have to contradict the last known time before it is given up.
const INSISTENCE: Duration = Duration::from_secs(3600);
const INSISTENT: u32 = 3;

/// What the machine says: its clock, and how long it has been on, with sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    pub wall: Timestamp,
    pub uptime: Duration,
}

/// How sure the time is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certainty {
    /// The clock agrees with a trusted server.
    Confirmed,
    /// Nothing contradicts the clock, and no server has been heard.
    Unconfirmed,
    /// The clock is wrong; the time is that of a trusted server.
    Corrected,
    /// The clock is wrong, and no server has been heard. The time is one that has passed.
    Unknown,
}

/// The time, and how sure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    pub time: Timestamp,
    pub certainty: Certainty,
    /// It is at least this time: the same time if it is certain, and otherwise the last one that
    /// was, and the time for which the machine has been on since.
    pub passed: Timestamp,
}

impl Reading {
    /// Whether something may be called expired, or not valid yet, by it.
    #[must_use]
    pub fn is_certain(self) -> bool {
        matches!(self.certainty, Certainty::Confirmed | Certainty::Corrected)
    }

    /// Whether the machine's clock is known to be wrong.
    #[must_use]
    pub fn is_wrong(self) -> bool {
        matches!(self.certainty, Certainty::Corrected | Certainty::Unknown)
    }
}

/// What is known about the time.
#[derive(Debug, Clone)]
pub struct ClockGuard {
    /// It is later than this.
    floor: Timestamp,
    /// What the disk has.
    kept: Option<Timestamp>,
    began: Moment,
    /// The `Date` of a trusted server, and when it was heard.
    heard: Option<Heard>,
    /// Servers that say a time before the floor.
    doubt: Option<Doubt>,
}

#[derive(Debug, Clone, Copy)]
struct Heard {
    time: Timestamp,
    uptime: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Doubt {
    since: Duration,
    times: u32,
}

impl ClockGuard {
    /// Starts with the time that the disk has, if there is one.
    #[must_use]
    pub fn new(kept: Option<Timestamp>, began: Moment) -> Self {
        Self {
            floor: kept.map_or(EARLIEST, |kept| kept.max(EARLIEST)),
            kept,
            began,
            heard: None,
            doubt: None,
        }
    }

    #[must_use]
    pub fn read(&self, now: Moment) -> Reading {
        let certain = |time, certainty| Reading {
            time,
            certainty,
            passed: time,
        };
        if let Some(heard) = self.heard {
            let advanced = heard.time.plus(now.uptime.saturating_sub(heard.uptime));
            return match is_near(now.wall, advanced) {
                true => certain(now.wall, Certainty::Confirmed),
                false => certain(advanced, Certainty::Corrected),
            };
        }
        let is_early = now.wall.plus(TOLERANCE) < self.floor;
        let is_late = now.wall > self.floor.plus(LONGEST_ABSENCE);
        let passed = self.passed(now);
        let (time, certainty) = match is_early || is_late {
            true => (passed, Certainty::Unknown),
            false => (now.wall, Certainty::Unconfirmed),
        };
        Reading {
            time,
            certainty,
            passed,
        }
    }

    fn passed(&self, now: Moment) -> Timestamp {
        let on = now.uptime.saturating_sub(self.began.uptime);
        self.floor.plus(on)
    }

    /// A trusted server says what time it is.
    pub fn hear(&mut self, server: Timestamp, now: Moment) {
        if server.plus(TOLERANCE) < self.floor && !self.give_up_floor(server, now) {
            return;
        }
        self.doubt = None;
        self.heard = Some(Heard {
            time: server,
            uptime: now.uptime,
        });
    }

    /// The last known time may have been wrong: the clock agrees with the server, or servers insist.
    /// One server alone may replay the past.
    fn give_up_floor(&mut self, server: Timestamp, now: Moment) -> bool {
        let since = self.doubt.map_or(now.uptime, |doubt| doubt.since);
        let times = self.doubt.map_or(0, |doubt| doubt.times) + 1;
        let insisted = times >= INSISTENT && now.uptime.saturating_sub(since) >= INSISTENCE;
        if server >= EARLIEST && (is_near(now.wall, server) || insisted) {
            self.floor = EARLIEST;
            return true;
        }
        self.doubt = Some(Doubt { since, times });
        false
    }

    /// The time to write to disk now, if it is worth a write. After it was written, tell
    /// [`kept`](Self::kept).
    #[must_use]
    pub fn to_keep(&self, now: Moment) -> Option<Timestamp> {
        let reading = self.read(now);
        let is_new = self.kept.is_none_or(|kept| {
            reading.time >= kept.plus(KEEP_EVERY) || reading.time.plus(TOLERANCE) < kept
        });
        match reading.certainty {
            Certainty::Confirmed => is_new.then_some(reading.time),
            Certainty::Corrected => None,
            // A device may be without servers for years, and restart in between.
            Certainty::Unconfirmed | Certainty::Unknown => {
                let before = self.kept.unwrap_or(EARLIEST);
                (reading.passed >= before.plus(KEEP_EVERY)).then_some(reading.passed)
            }
        }
    }

    pub fn kept(&mut self, time: Timestamp) {
        self.kept = Some(time);
        if self.heard.is_some() {
            self.floor = time.max(EARLIEST);
        }
    }

    /// What is wrong with the machine's clock, in words.
    #[must_use]
    pub fn problem(&self, now: Moment) -> Option<String> {
        let reading = self.read(now);
        let (wall, time) = (now.wall.in_seconds(), reading.time.in_seconds());
        match reading.certainty {
            Certainty::Confirmed | Certainty::Unconfirmed => None,
            Certainty::Corrected => Some(format!(
                "the clock of this device says {wall}, but its servers say {time}; the servers' \
                 time is used until the clock is set"
            )),
            Certainty::Unknown => Some(format!(
                "the clock of this device says {wall}, which cannot be right: it was \
                 {} already; no certificate is called expired by it until a server says what time it is",
                self.floor.in_seconds()
            )),
        }
    }
}

fn is_near(one: Timestamp, other: Timestamp) -> bool {
    one <= other.plus(TOLERANCE) && other <= one.plus(TOLERANCE)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TRUE: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
    const HOUR: Duration = Duration::from_secs(3600);

    fn moment(wall: Timestamp, uptime: u64) -> Moment {
        Moment {
            wall,
            uptime: Duration::from_secs(uptime),
        }
    }

    fn at_1970(uptime: u64) -> Moment {
        moment(Timestamp::from_unix_seconds(0), uptime)
    }

    #[test]
    fn a_clock_in_1970_decides_nothing_until_a_server_is_heard() {
        let mut guard = ClockGuard::new(Some(TRUE), at_1970(10));
        let reading = guard.read(at_1970(70));
        assert_eq!(reading.certainty, Certainty::Unknown);
        assert_eq!(reading.time, TRUE.plus(Duration::from_secs(60)));
        assert!(!reading.is_certain() && reading.is_wrong());
        guard.hear(TRUE.plus(48 * HOUR), at_1970(100));
        let reading = guard.read(at_1970(160));
        assert_eq!(reading.certainty, Certainty::Corrected);
        assert_eq!(reading.time, TRUE.plus(48 * HOUR + Duration::from_secs(60)));
        let problem = guard.problem(at_1970(160)).unwrap();
        assert!(problem.contains("1970-01-01T00:00:00Z"), "{problem}");
        assert_eq!(
            guard.to_keep(at_1970(160)),
            None,
            "only a clock that is right"
        );
    }

    #[test]
    fn a_clock_that_is_set_is_believed_again() {
        let mut guard = ClockGuard::new(None, at_1970(0));
        guard.hear(TRUE, at_1970(100));
        let set = moment(TRUE.plus(HOUR), 3700);
        assert_eq!(guard.read(set).certainty, Certainty::Confirmed);
        assert_eq!(guard.problem(set), None);
        assert_eq!(guard.to_keep(set), Some(TRUE.plus(HOUR)));
        guard.kept(TRUE.plus(HOUR));
        assert_eq!(guard.to_keep(set), None);
        assert!(
            guard
                .to_keep(moment(TRUE.plus(8 * HOUR), 100 + 8 * 3600))
                .is_some()
        );
    }

    #[test]
    fn a_clock_in_the_far_future_is_not_believed_and_a_server_corrects_it() {
        let late = moment(Timestamp::from_unix_seconds(4_102_444_800), 5);
        let mut guard = ClockGuard::new(Some(TRUE), late);
        assert_eq!(guard.read(late).certainty, Certainty::Unknown);
        guard.hear(TRUE.plus(HOUR), late);
        assert_eq!(guard.read(late).time, TRUE.plus(HOUR));
        let near = moment(TRUE.plus(9 * HOUR), 5);
        let mut guard = ClockGuard::new(Some(TRUE), near);
        assert_eq!(guard.read(near).certainty, Certainty::Unconfirmed);
        assert!(!guard.read(near).is_certain());
        guard.hear(TRUE.plus(HOUR), near);
        assert_eq!(guard.read(near).certainty, Certainty::Corrected);
    }

    /// What is certain without a server is how long the device was on.
    #[test]
    fn the_time_that_has_passed_goes_on_over_restarts_without_a_server() {
        let ahead = |uptime| moment(TRUE.plus(30_000 * HOUR), uptime);
        let mut guard = ClockGuard::new(Some(TRUE), ahead(100));
        assert_eq!(guard.read(ahead(100)).passed, TRUE);
        assert_eq!(guard.to_keep(ahead(100 + 3600)), None);
        let passed = TRUE.plus(7 * HOUR);
        let later = ahead(100 + 7 * 3600);
        assert_eq!(guard.read(later).certainty, Certainty::Unconfirmed);
        assert_eq!(guard.to_keep(later), Some(passed));
        guard.kept(passed);
        assert_eq!(guard.read(later).passed, passed, "not counted twice");
        let guard = ClockGuard::new(Some(passed), ahead(5));
        assert_eq!(guard.read(ahead(5)).passed, passed);
    }

    #[test]
    fn one_server_that_says_a_time_of_the_past_is_not_believed_and_many_are() {
        let mut guard = ClockGuard::new(Some(TRUE.plus(1000 * HOUR)), at_1970(0));
        guard.hear(TRUE, at_1970(10));
        guard.hear(TRUE, at_1970(20));
        assert_eq!(guard.read(at_1970(20)).certainty, Certainty::Unknown);
        guard.hear(TRUE.plus(HOUR), at_1970(3700));
        assert_eq!(guard.read(at_1970(3700)).time, TRUE.plus(HOUR));
        // The clock and the server agree: what was kept is wrong.
        let right = moment(TRUE, 10);
        let mut guard = ClockGuard::new(Some(TRUE.plus(1000 * HOUR)), right);
        assert_eq!(guard.read(right).certainty, Certainty::Unknown);
        guard.hear(TRUE, right);
        assert_eq!(guard.read(right).certainty, Certainty::Confirmed);
        assert_eq!(guard.to_keep(right), Some(TRUE));
    }

    proptest! {
        /// Wherever the clock stands and jumps to, after a server was heard the time is right.
        #[test]
        fn after_a_server_was_heard_the_time_is_right(
            kept in prop::option::of(-1_000_000..0_i64),
            walls in prop::collection::vec(0..8_000_000_000_i64, 1..10),
            step in 1..100_000_u64,
        ) {
            let kept = kept.map(|ago| Timestamp::from_unix_seconds(TRUE.unix_seconds() + ago));
            let mut guard = ClockGuard::new(kept, at_1970(0));
            guard.hear(TRUE, at_1970(0));
            for (n, wall) in walls.into_iter().enumerate() {
                let uptime = step * n as u64;
                let right = TRUE.plus(Duration::from_secs(uptime));
                let reading = guard.read(moment(Timestamp::from_unix_seconds(wall), uptime));
                prop_assert!(is_near(reading.time, right));
                prop_assert!(reading.is_certain());
                let is_right = is_near(Timestamp::from_unix_seconds(wall), right);
                prop_assert_eq!(reading.is_wrong(), !is_right);
            }
        }
    }
}
