//! The growing pauses between attempts to connect.

use std::time::Duration;

/// The longest pause that a service may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(3600);

/// The pause of a device that got `Retry-After`: never shorter, and up to a tenth and a second
/// longer. `Retry-After` has whole seconds, so that otherwise all devices with the same answer
/// would come back at the same moment. `chance` is a random number from 0 to 1.
#[must_use]
pub fn retry_pause(asked: Duration, chance: f64) -> Duration {
    let asked = asked.min(LONGEST_ASKED);
    let more = asked.div_f64(10.0) + Duration::from_secs(1);
    asked + more.mul_f64(chance.clamp(0.0, 1.0))
}

/// Pauses that double from a first one to a longest one. Each is shortened by chance, so that a
/// fleet does not come back all at once.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// Starts with `first` and never exceeds `longest`.
    #[must_use]
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            failures: 0,
        }
    }

    /// The pause after one more failure: between half and all of the current step. `chance` is a
    /// random number from 0 to 1.
    pub fn failed(&mut self, chance: f64) -> Duration {
        let factor = 2_u32.checked_pow(self.failures).unwrap_or(u32::MAX);
        let step = self.first.saturating_mul(factor).min(self.longest);
        self.failures = self.failures.saturating_add(1);
        step.div_f64(2.0) + step.mul_f64(chance.clamp(0.0, 1.0) / 2.0)
    }

    /// The pause after one more failure, at least as long as the service asked for.
    pub fn failed_with(&mut self, asked: Option<Duration>, chance: f64) -> Duration {
        let own = self.failed(chance);
        asked.map_or(own, |asked| own.max(retry_pause(asked, chance)))
    }

    /// Starts again with the first pause.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_start_over() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        let waits: Vec<u64> = (0..8).map(|_| backoff.failed(1.0).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        backoff.succeeded();
        assert_eq!(backoff.failed(0.0), Duration::from_millis(500));
    }

    #[test]
    fn the_pause_that_a_service_asks_for_is_kept_up_to_an_hour() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        let asked = Some(Duration::from_secs(90));
        assert_eq!(backoff.failed_with(asked, 0.0), Duration::from_secs(90));
        assert_eq!(backoff.failed_with(asked, 1.0), Duration::from_secs(100));
        assert_eq!(backoff.failed_with(None, 1.0), Duration::from_secs(4));
        let absurd = Some(Duration::MAX);
        let waited = backoff.failed_with(absurd, 1.0);
        assert!(waited < Duration::from_secs(4000), "{waited:?}");
    }

    #[test]
    fn endless_failures_do_not_overflow() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        for _ in 0..100 {
            let wait = backoff.failed(0.5);
            assert!(wait <= Duration::from_secs(60));
        }
    }
}
