use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

/// The same line is not written again within this time at first; it doubles for as long as the line keeps coming.
const SHORTEST: Duration = Duration::from_secs(60);
/// And not within this time after a while.
const LONGEST: Duration = Duration::from_secs(3600);
/// Kinds of lines remembered at once, about 80 bytes each.
const REMEMBERED: usize = 16 * 1024;
/// Lines that one place may write at once.
const BURST: f64 = 100.0;
/// And so many a second in the long run.
const PER_SECOND: f64 = 2.0;

/// What becomes of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It is written, and stands for so many more of its kind.
    Write { suppressed: u64 },
    /// It is not; it is counted.
    Suppress,
}

/// Lines of one kind: of one place, about one subject.
#[derive(Debug)]
struct Kind {
    written: Duration,
    /// When it came last, written or not.
    last: Duration,
    wait: Duration,
    suppressed: u64,
}

/// One place that writes lines.
#[derive(Debug)]
struct Place {
    lines: f64,
    looked: Duration,
    /// Lines that nothing else will tell of, and one of them.
    left_out: Option<(u64, String)>,
}

impl Place {
    fn take(&mut self, now: Duration) -> bool {
        let brought = now.saturating_sub(self.looked).as_secs_f64() * PER_SECOND;
        self.lines = (self.lines + brought).min(BURST);
        self.looked = now;
        let enough = self.lines >= 1.0;
        if enough {
            self.lines -= 1.0;
        }
        enough
    }
}

/// Which lines were written lately. `S` names places; times count from any fixed moment.
#[derive(Debug)]
pub struct Repeats<S> {
    kinds: HashMap<(S, u64), Kind>,
    places: HashMap<S, Place>,
}

impl<S> Default for Repeats<S> {
    fn default() -> Self {
        Self {
            kinds: HashMap::new(),
            places: HashMap::new(),
        }
    }
}

impl<S: Copy + Eq + Hash> Repeats<S> {
    /// Whether a line of `place` about `subject` is written now; `text` is asked for when it may be told as an example.
    pub fn turn(
        &mut self,
        place: S,
        subject: u64,
        now: Duration,
        text: impl FnOnce() -> String,
    ) -> Turn {
        let budget = self.places.entry(place).or_insert(Place {
            lines: BURST,
            looked: now,
            left_out: None,
        });
        if let Some(kind) = self.kinds.get_mut(&(place, subject)) {
            let paused = now.saturating_sub(kind.last) > kind.wait;
            kind.last = now;
            if now.saturating_sub(kind.written) < kind.wait || !budget.take(now) {
                kind.suppressed += 1;
                return Turn::Suppress;
            }
            kind.written = now;
            kind.wait = if paused {
                SHORTEST
            } else {
                LONGEST.min(kind.wait * 2)
            };
            let suppressed = std::mem::take(&mut kind.suppressed);
            return Turn::Write { suppressed };
        }
        if !budget.take(now) {
            let (count, _) = budget.left_out.get_or_insert_with(|| (0, text()));
            *count += 1;
            return Turn::Suppress;
        }
        self.remember((place, subject), now);
        Turn::Write { suppressed: 0 }
    }

    fn remember(&mut self, kind: (S, u64), now: Duration) {
        if self.kinds.len() >= REMEMBERED {
            self.kinds
                .retain(|_, kind| now.saturating_sub(kind.last) <= kind.wait);
        }
        // Where there are too many kinds, the places' own bounds are left.
        if self.kinds.len() < REMEMBERED {
            let begun = Kind {
                written: now,
                last: now,
                wait: SHORTEST,
                suppressed: 0,
            };
            self.kinds.insert(kind, begun);
        }
    }

    /// How many lines were left out since this was asked last, for want of room for their place, each with one of them.
    pub fn left_out(&mut self) -> Vec<(u64, String)> {
        let places = self.places.values_mut();
        places.filter_map(|place| place.left_out.take()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITE: Turn = Turn::Write { suppressed: 0 };

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_device_that_comes_back_for_ever_takes_few_lines_and_none_is_uncounted() {
        // C10: real daemons that are refused come every 5.5 s, 15,700 times a day.
        let mut repeats = Repeats::default();
        let (mut written, mut suppressed) = (0, 0);
        let day = (0..15_700).map(|number| Duration::from_millis(5_500 * number));
        for now in day {
            if let Turn::Write { suppressed: more } = repeats.turn("refused", 7, now, String::new) {
                written += 1;
                suppressed += more;
            }
        }
        assert!((24..40).contains(&written), "{written}");
        assert!(written + suppressed > 15_700 - 700, "{suppressed}");
    }

    #[test]
    fn another_device_or_another_cause_is_another_line() {
        let mut repeats = Repeats::default();
        for (place, subject) in [("refused", 1), ("refused", 2), ("connected", 1)] {
            let turn = repeats.turn(place, subject, seconds(1), String::new);
            assert_eq!(turn, WRITE, "{place} {subject}");
        }
        let again = repeats.turn("refused", 1, seconds(1), String::new);
        assert_eq!(again, Turn::Suppress);
    }

    #[test]
    fn what_comes_seldom_is_always_written() {
        let mut repeats = Repeats::default();
        for number in 0..50 {
            let now = seconds(number * 300);
            assert_eq!(repeats.turn("connected", 1, now, String::new), WRITE);
        }
    }

    #[test]
    fn a_crowd_takes_so_many_lines_and_the_rest_is_told_once() {
        // R15: a fleet registers. One line each, and a count of those that would be too many.
        let mut repeats = Repeats::default();
        let mut written = 0;
        for number in 0..10_000 {
            let text = || format!("device {number}");
            let now = Duration::from_millis(number);
            written += u64::from(repeats.turn("registered", number, now, text) == WRITE);
        }
        assert!((100..130).contains(&written), "{written}");
        let left_out = repeats.left_out();
        assert_eq!(left_out.len(), 1);
        assert_eq!(left_out[0].0, 10_000 - written);
        assert!(left_out[0].1.starts_with("device "), "{left_out:?}");
        assert!(repeats.left_out().is_empty());
        assert_eq!(repeats.turn("other", 0, seconds(10), String::new), WRITE);
    }

    #[test]
    fn no_more_is_remembered_than_there_is_room_for() {
        let mut repeats = Repeats::default();
        for number in 0..3 * REMEMBERED as u64 {
            // A place each, so that no place's bound is met.
            repeats.turn(number, 0, seconds(1), String::new);
        }
        assert!(repeats.kinds.len() <= REMEMBERED);
    }
}
