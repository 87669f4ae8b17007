use std::time::Duration;

/// A service that asks for more than this is not believed.
const LONGEST_TOLD: Duration = Duration::from_secs(3600);

/// How long a device waits that was told to wait: never less, and up to a tenth and a second more
/// by chance, because `Retry-After` counts whole seconds and would bring everybody who was told the
/// same back in the same moment.
#[must_use]
pub fn retry_pause(told: Duration, chance: f64) -> Duration {
    let told = told.min(LONGEST_TOLD);
    let more = told.div_f64(10.0) + Duration::from_secs(1);
    told + more.mul_f64(chance.clamp(0.0, 1.0))
}

/// Waits that double from a first one to a longest one, each shortened by chance, so that a fleet
/// does not return all at once.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// Starts at `first`, never exceeds `longest`.
    #[must_use]
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            failures: 0,
        }
    }

    /// How long to wait after one more failure: between half and all of the current step. `chance`
    /// is a random number from 0 to 1.
    pub fn failed(&mut self, chance: f64) -> Duration {
        let factor = 2_u32.checked_pow(self.failures).unwrap_or(u32::MAX);
        let step = self.first.saturating_mul(factor).min(self.longest);
        self.failures = self.failures.saturating_add(1);
        step.div_f64(2.0) + step.mul_f64(chance.clamp(0.0, 1.0) / 2.0)
    }

    /// The same after a failure of which the service said how long to wait: at least so long.
    pub fn failed_with(&mut self, told: Option<Duration>, chance: f64) -> Duration {
        let own = self.failed(chance);
        told.map_or(own, |told| own.max(retry_pause(told, chance)))
    }

    /// Starts over after a success.
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
    fn what_a_service_asks_is_the_least_that_is_waited_and_not_more_than_an_hour() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        let told = Some(Duration::from_secs(90));
        assert_eq!(backoff.failed_with(told, 0.0), Duration::from_secs(90));
        assert_eq!(backoff.failed_with(told, 1.0), Duration::from_secs(100));
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
