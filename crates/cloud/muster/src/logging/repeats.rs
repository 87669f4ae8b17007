use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

/// The time in which the same line is not written again at first. It doubles as long as
/// the line keeps coming.
const MIN_WAIT: Duration = Duration::from_secs(60);
/// The longest such time.
const MAX_WAIT: Duration = Duration::from_secs(3600);
/// The most kinds of lines that are remembered, about 80 bytes each.
const MAX_KINDS: usize = 16 * 1024;
/// Lines that one call site may write at once.
const BURST: f64 = 100.0;
/// Lines a second of one call site in the long run.
const PER_SECOND: f64 = 2.0;

/// Whether a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It is written, and stands for `suppressed` more of its kind.
    Write { suppressed: u64 },
    /// It is not written, but counted.
    Suppress,
}

/// Lines of one kind: of one call site, about one subject.
#[derive(Debug)]
struct Kind {
    written: Duration,
    /// When the last line came, written or not.
    last: Duration,
    wait: Duration,
    suppressed: u64,
}

/// The rate limit of one call site.
#[derive(Debug)]
struct SiteBudget {
    lines: f64,
    refilled: Duration,
    /// The number of lines that were left out because of the rate limit, and one of them.
    left_out: Option<(u64, String)>,
}

impl SiteBudget {
    fn spend(&mut self, now: Duration) -> bool {
        let refill = now.saturating_sub(self.refilled).as_secs_f64() * PER_SECOND;
        self.lines = (self.lines + refill).min(BURST);
        self.refilled = now;
        let enough = self.lines >= 1.0;
        if enough {
            self.lines -= 1.0;
        }
        enough
    }
}

/// The lines that were written lately. `S` names call sites; times count from any fixed moment.
#[derive(Debug)]
pub struct Repeats<S> {
    kinds: HashMap<(S, u64), Kind>,
    sites: HashMap<S, SiteBudget>,
}

impl<S> Default for Repeats<S> {
    fn default() -> Self {
        Self {
            kinds: HashMap::new(),
            sites: HashMap::new(),
        }
    }
}

impl<S: Copy + Eq + Hash> Repeats<S> {
    /// Whether a line of `site` about `subject` is written now. `text` is called when the
    /// line becomes an example.
    pub fn decide(
        &mut self,
        site: S,
        subject: u64,
        now: Duration,
        text: impl FnOnce() -> String,
    ) -> Decision {
        let budget = self.sites.entry(site).or_insert(SiteBudget {
            lines: BURST,
            refilled: now,
            left_out: None,
        });
        if let Some(kind) = self.kinds.get_mut(&(site, subject)) {
            let paused = now.saturating_sub(kind.last) > kind.wait;
            kind.last = now;
            if now.saturating_sub(kind.written) < kind.wait || !budget.spend(now) {
                kind.suppressed += 1;
                return Decision::Suppress;
            }
            kind.written = now;
            kind.wait = if paused {
                MIN_WAIT
            } else {
                MAX_WAIT.min(kind.wait * 2)
            };
            let suppressed = std::mem::take(&mut kind.suppressed);
            return Decision::Write { suppressed };
        }
        if !budget.spend(now) {
            let (count, _) = budget.left_out.get_or_insert_with(|| (0, text()));
            *count += 1;
            return Decision::Suppress;
        }
        self.remember((site, subject), now);
        Decision::Write { suppressed: 0 }
    }

    fn remember(&mut self, kind: (S, u64), now: Duration) {
        if self.kinds.len() >= MAX_KINDS {
            self.kinds
                .retain(|_, kind| now.saturating_sub(kind.last) <= kind.wait);
        }
        // With too many kinds, only the rate limits of the call sites are left.
        if self.kinds.len() < MAX_KINDS {
            let begun = Kind {
                written: now,
                last: now,
                wait: MIN_WAIT,
                suppressed: 0,
            };
            self.kinds.insert(kind, begun);
        }
    }

    /// For each call site above its rate limit, the number of lines that were left out since the
    /// last call, and one of them.
    pub fn left_out(&mut self) -> Vec<(u64, String)> {
        let sites = self.sites.values_mut();
        sites.filter_map(|site| site.left_out.take()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITE: Decision = Decision::Write { suppressed: 0 };

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_device_that_tries_for_ever_takes_few_lines_and_all_are_counted() {
        // C10: real daemons that are refused come every 5.5 s, 15,700 times a day.
        let mut repeats = Repeats::default();
        let (mut written, mut suppressed) = (0, 0);
        let day = (0..15_700).map(|number| Duration::from_millis(5_500 * number));
        for now in day {
            if let Decision::Write { suppressed: more } =
                repeats.decide("refused", 7, now, String::new)
            {
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
        for (site, subject) in [("refused", 1), ("refused", 2), ("connected", 1)] {
            let decision = repeats.decide(site, subject, seconds(1), String::new);
            assert_eq!(decision, WRITE, "{site} {subject}");
        }
        let again = repeats.decide("refused", 1, seconds(1), String::new);
        assert_eq!(again, Decision::Suppress);
    }

    #[test]
    fn a_rare_line_is_always_written() {
        let mut repeats = Repeats::default();
        for number in 0..50 {
            let now = seconds(number * 300);
            assert_eq!(repeats.decide("connected", 1, now, String::new), WRITE);
        }
    }

    #[test]
    fn a_fleet_takes_a_number_of_lines_and_the_rest_is_counted_once() {
        // R15: a fleet registers. One line each, and a count of those that would be too many.
        let mut repeats = Repeats::default();
        let mut written = 0;
        for number in 0..10_000 {
            let text = || format!("device {number}");
            let now = Duration::from_millis(number);
            written += u64::from(repeats.decide("registered", number, now, text) == WRITE);
        }
        assert!((100..130).contains(&written), "{written}");
        let left_out = repeats.left_out();
        assert_eq!(left_out.len(), 1);
        assert_eq!(left_out[0].0, 10_000 - written);
        assert!(left_out[0].1.starts_with("device "), "{left_out:?}");
        assert!(repeats.left_out().is_empty());
        assert_eq!(repeats.decide("other", 0, seconds(10), String::new), WRITE);
    }

    #[test]
    fn no_more_kinds_are_remembered_than_the_limit() {
        let mut repeats = Repeats::default();
        for number in 0..3 * MAX_KINDS as u64 {
            // A call site each, so that no rate limit is met.
            repeats.decide(number, 0, seconds(1), String::new);
        }
        assert!(repeats.kinds.len() <= MAX_KINDS);
    }
}
