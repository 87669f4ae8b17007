//! What is next for an endpoint, decided without I/O: how many events go together, what a failed
//! attempt means, and when the next one is.

use std::time::Duration;

use registry::StoredEvent;

/// Most events of one request.
const MAX_EVENTS: usize = 100;
/// Most bytes of their bodies and properties, but one event if there is one.
const MAX_BYTES: usize = 1024 * 1024;
/// The pause after the first attempt that failed; it doubles up to the second.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    Delivered,
    /// The endpoint will never take these events: 400, 413, 415 or 422.
    Refused(String),
    /// The endpoint may take them later.
    Failed(String),
}

/// A request that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attempt {
    /// How many of its events, from the first on, were taken before the outcome, which is that of
    /// the others.
    pub(super) taken: usize,
    pub(super) outcome: Outcome,
}

impl From<Outcome> for Attempt {
    fn from(outcome: Outcome) -> Self {
        Self { taken: 0, outcome }
    }
}

impl Outcome {
    pub(super) fn of_status(status: u16) -> Self {
        match status {
            200..=299 => Self::Delivered,
            400 | 413 | 415 | 422 => Self::Refused(format!("it answered {status}")),
            _ => Self::Failed(format!("it answered {status}")),
        }
    }
}

/// What to do after a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// The events are done, as delivered or as given up.
    Advance {
        dead_letter: bool,
    },
    /// The same events again, in smaller requests, to find the one that is refused.
    Split,
    RetryAfter(Duration),
}

/// How requests to one endpoint are made from here on.
#[derive(Debug)]
pub(super) struct Pacing {
    most: usize,
    failures: u32,
}

impl Pacing {
    pub(super) fn new() -> Self {
        Self {
            most: MAX_EVENTS,
            failures: 0,
        }
    }

    /// How many of the next events go together, one at least.
    pub(super) fn batch(&self, events: &[StoredEvent]) -> usize {
        let mut bytes = 0;
        let fits = |stored: &&StoredEvent| {
            let properties = stored.event.properties.iter();
            let properties: usize = properties
                .map(|(name, value)| name.len() + value.len())
                .sum();
            bytes += stored.event.body.len() + properties;
            bytes <= MAX_BYTES
        };
        let fitting = events.iter().take(self.most).take_while(fits).count();
        fitting.max(1)
    }

    /// What follows from the outcome of a request with `count` events.
    pub(super) fn after(&mut self, outcome: &Outcome, count: usize) -> Next {
        match outcome {
            Outcome::Delivered => {
                self.failures = 0;
                self.most = (self.most * 2).min(MAX_EVENTS);
                Next::Advance { dead_letter: false }
            }
            Outcome::Refused(_) if count > 1 => {
                self.most = (count / 2).max(1);
                Next::Split
            }
            Outcome::Refused(_) => {
                self.failures = 0;
                Next::Advance { dead_letter: true }
            }
            Outcome::Failed(_) => {
                let doubled = PAUSES.0.saturating_mul(1 << self.failures.min(10));
                self.failures = self.failures.saturating_add(1);
                // Should the endpoint be too slow for many events, one gets through.
                self.most = 1;
                Next::RetryAfter(doubled.min(PAUSES.1))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed() -> Outcome {
        Outcome::of_status(503)
    }

    #[test]
    fn pauses_double_up_to_a_minute_and_begin_again_after_a_success() {
        let mut pacing = Pacing::new();
        let pauses: Vec<Next> = (0..8).map(|_| pacing.after(&failed(), 3)).collect();
        let seconds = [1, 2, 4, 8, 16, 32, 60, 60];
        let expected = seconds.map(|s| Next::RetryAfter(Duration::from_secs(s)));
        assert_eq!(pauses, expected);
        assert_eq!(pacing.most, 1);
        pacing.after(&Outcome::Delivered, 1);
        assert_eq!(pacing.most, 2);
        let again = pacing.after(&failed(), 3);
        assert_eq!(again, Next::RetryAfter(Duration::from_secs(1)));
    }

    #[test]
    fn only_the_event_that_is_refused_is_given_up() {
        let mut pacing = Pacing::new();
        let refused = Outcome::of_status(400);
        let mut count = 100;
        while pacing.after(&refused, count) == Next::Split {
            count = pacing.most;
        }
        assert_eq!(count, 1);
        let more: Vec<usize> = (0..8)
            .map(|_| {
                pacing.after(&Outcome::Delivered, 1);
                pacing.most
            })
            .collect();
        assert_eq!(more, [2, 4, 8, 16, 32, 64, 100, 100]);
    }

    #[test]
    fn what_an_endpoint_may_take_later_is_not_given_up() {
        for status in [301, 401, 403, 404, 408, 429, 500, 503] {
            assert!(
                matches!(Outcome::of_status(status), Outcome::Failed(_)),
                "{status}"
            );
        }
        assert_eq!(Outcome::of_status(204), Outcome::Delivered);
    }
}
