//! A line that nobody stands in: whoever is sent away is told when its turn is, and is let in before newcomers when it comes then.

use std::time::Duration;

use ids::Timestamp;

/// The longest that anybody is told to stay away.
pub const LONGEST: Duration = Duration::from_secs(300);
/// The shortest: `Retry-After` counts whole seconds.
pub const SHORTEST: Duration = Duration::from_secs(1);
/// Who comes in time and finds no room came with too many others at the same moment: `Retry-After` has no parts of a second. They are
/// told moments that are spread over so long, or they would all come together again.
const APART: Duration = Duration::from_secs(8);
/// A turn is kept also for those who come a little early.
const EARLY: Duration = Duration::from_millis(250);

/// How much room there is behind the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// None.
    Full,
    /// Some, which is for those whose turn it is.
    Scarce,
    /// Enough for everybody who comes.
    Plenty,
}

/// Where between 0 and 1 a device stands in everything that is spread over time: always the same for the same device.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread(f64);

impl Spread {
    /// From a hash of the device.
    #[must_use]
    pub fn of(hash: u64) -> Self {
        Self(f64::from((hash >> 32) as u32) / f64::from(u32::MAX))
    }

    fn part_of(self, whole: Duration) -> Duration {
        whole.mul_f64(self.0)
    }
}

/// The line: it remembers only until when turns have been given out. Who was given which is remembered with the device.
#[derive(Debug, Clone, Copy)]
pub struct Line {
    free_from: Timestamp,
    /// The same of those who came when it was their turn and found no room, because more was promised than could be kept: they
    /// are given a second turn before newcomers get their first, again one after the other.
    second_from: Timestamp,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            free_from: Timestamp::NEVER,
            second_from: Timestamp::NEVER,
        }
    }
}

impl Line {
    /// How long it would take to serve everybody who was told a turn.
    #[must_use]
    pub fn length(&self, now: Timestamp) -> Duration {
        let until = self.free_from.max(self.second_from);
        until.since(now).min(LONGEST)
    }

    /// Whether a device may pass; `told` is when it was told that its turn is, if it was told.
    #[must_use]
    pub fn lets_pass(&self, room: Room, told: Option<Timestamp>, now: Timestamp) -> bool {
        match room {
            Room::Full => false,
            Room::Plenty => true,
            Room::Scarce => is_due(told, now) || self.length(now).is_zero(),
        }
    }

    /// Sends a device away: when it is to come again. There is no room before `free_in` is over, and one turn takes `turn`.
    ///
    /// Who came too early keeps the turn that it has. When the line is longer than anybody may be told to wait, the rest come back
    /// spread over its end.
    pub fn send_away(
        &mut self,
        told: Option<Timestamp>,
        (free_in, turn): (Duration, Duration),
        spread: Spread,
        now: Timestamp,
    ) -> Timestamp {
        let soonest = free_in.max(SHORTEST);
        // A clock that was set back leaves nobody in line for longer than anybody is told.
        self.free_from = self.free_from.min(now.plus(LONGEST + SHORTEST));
        self.second_from = self.second_from.min(now.plus(LONGEST + SHORTEST));
        let (length, until, apart) = match told {
            Some(told) if is_due(Some(told), now) => {
                (self.second_from.since(now), &mut self.second_from, APART)
            }
            Some(told) if told.since(now) <= LONGEST + LONGEST / 8 => return told,
            // Told by a clock that was ahead, or not told.
            _ => (self.length(now), &mut self.free_from, Duration::ZERO),
        };
        if length >= LONGEST {
            let half = LONGEST / 2;
            return now.plus(half + spread.part_of(half));
        }
        let wait = length.max(soonest);
        *until = now.plus(wait + turn);
        // What was measured is never exact, and the longer the wait, the less so: what goes wrong then is spread, too.
        let more = spread.part_of(apart.max(wait / 8)).as_secs();
        now.plus(wait + Duration::from_secs(more))
    }
}

/// Whether it is the turn of somebody who was told `told`.
pub fn is_due(told: Option<Timestamp>, now: Timestamp) -> bool {
    told.is_some_and(|told| told <= now.plus(EARLY))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);
    const MIDDLE: Spread = Spread(0.5);

    #[test]
    fn turns_are_given_out_one_after_the_other() {
        let mut line = Line::default();
        let turn = (Duration::ZERO, Duration::from_millis(100));
        let waits: Vec<u64> = (0..30)
            .map(|_| line.send_away(None, turn, Spread(0.0), START).since(START))
            .map(|wait| u64::try_from(wait.as_millis()).unwrap())
            .collect();
        assert_eq!(waits[..4], [1000, 1100, 1200, 1300]);
        assert_eq!(waits[29], 3900);
        assert_eq!(line.length(START), Duration::from_secs(4));
        assert!(line.length(START.plus(Duration::from_secs(4))).is_zero());
    }

    #[test]
    fn scarce_room_is_for_those_whose_turn_it_is() {
        let mut line = Line::default();
        assert!(
            line.lets_pass(Room::Scarce, None, START),
            "nobody is expected"
        );
        let told = line.send_away(
            None,
            (Duration::ZERO, Duration::from_secs(5)),
            MIDDLE,
            START,
        );
        assert!(!line.lets_pass(Room::Scarce, None, START));
        assert!(!line.lets_pass(Room::Scarce, Some(told), START));
        assert!(line.lets_pass(Room::Scarce, Some(told), told));
        assert!(line.lets_pass(Room::Plenty, None, START));
        assert!(!line.lets_pass(Room::Full, Some(told), told));
    }

    #[test]
    fn impatience_gains_nothing_and_costs_nobody_else() {
        let mut line = Line::default();
        let turn = (Duration::ZERO, Duration::from_secs(2));
        let told = line.send_away(None, turn, MIDDLE, START);
        let length = line.length(START);
        for _ in 0..100 {
            assert_eq!(line.send_away(Some(told), turn, MIDDLE, START), told);
        }
        assert_eq!(line.length(START), length);
        let again = line.send_away(Some(told), turn, MIDDLE, told);
        assert!(again >= told.plus(SHORTEST) && again <= told.plus(SHORTEST + APART));
    }

    #[test]
    fn a_clock_that_is_set_back_keeps_nobody_away_for_longer_than_the_longest() {
        let mut line = Line::default();
        let ahead = START.plus(Duration::from_secs(86_400));
        let turn = (Duration::ZERO, Duration::from_secs(1));
        let told = line.send_away(None, turn, MIDDLE, ahead);
        assert!(line.length(START) <= LONGEST);
        let again = line.send_away(Some(told), turn, MIDDLE, START);
        assert!(again.since(START) <= LONGEST);
    }

    proptest! {
        /// Nobody is told less than the shortest or more than the longest (and its spread), and no more devices are told to
        /// come within a stretch of time than fit into it.
        #[test]
        fn waits_are_bounded_and_turns_fit(
            turn_us in 100u64..2_000_000, free_ms in 0u64..20_000, gaps in prop::collection::vec(0u64..500, 1..300), seed in any::<u64>(),
        ) {
            let (free_in, turn) = (Duration::from_millis(free_ms), Duration::from_micros(turn_us));
            let (mut line, mut now, mut hash) = (Line::default(), START, seed);
            for gap in gaps {
                now = now.plus(Duration::from_millis(gap));
                hash = hash.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let before = line.length(now);
                let wait = line.send_away(None, (free_in, turn), Spread::of(hash), now).since(now);
                prop_assert!(wait >= SHORTEST && wait <= LONGEST + LONGEST / 8);
                if before < LONGEST {
                    let after = now.plus(before.max(free_in).max(SHORTEST) + turn);
                    prop_assert_eq!(line.length(now), after.since(now).min(LONGEST));
                }
            }
        }
    }
}
