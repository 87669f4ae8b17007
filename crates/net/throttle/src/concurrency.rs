//! How many starts may be in progress at once, found by measuring how long they take.
//!
//! While starts take longer than [`TARGET_DURATION`], the limit falls; while they are quick and
//! more clients want in, it rises. By Little's law the number in progress is throughput times
//! duration, so a limit on the former at the measured throughput is a limit on the latter. The
//! measured throughput is also what turns a backlog into seconds.

use std::time::Duration;

use ids::Timestamp;

use crate::retry_schedule::{Headroom, Pace};

/// The mean duration that the limit aims at, so that all but one in a hundred take
/// less than a second.
const TARGET_DURATION: Duration = Duration::from_millis(300);
/// How long is measured before the limit is moved.
const WINDOW: Duration = Duration::from_millis(100);
/// The limit never falls below this, however slow the storage is.
pub const MIN_LIMIT: u32 = 32;
const INITIAL_LIMIT: u32 = 256;
/// Starts a second that are assumed before anything was measured.
const ASSUMED_RATE: f64 = 400.0;
/// A window measures what the server can do only if the limit was reached during this part of it.
/// Otherwise it measures the demand; scheduling clients by that would lower the demand, and with
/// it the next measurement.
const SATURATED: f64 = 0.5;
/// The part of the limit that is for every client; the rest is for clients that are due.
const UNRESERVED: f64 = 0.5;
/// Clients are scheduled at this part of the measured rate, so that a backlog becomes shorter.
const PROMISED: f64 = 0.9;

/// The limit, and the measurements that it is derived from.
#[derive(Debug, Clone)]
pub struct ConcurrencyLimit {
    max: u32,
    limit: f64,
    running: u32,
    /// Starts a second: of windows that were saturated, or the best that was seen.
    rate: f64,
    smoothed_rate: f64,
    window: Window,
    /// When [`Self::observe`] last ran, to measure for how long the limit was reached.
    observed_at: Timestamp,
}

/// What was measured since the limit was last moved.
#[derive(Debug, Clone, Copy)]
struct Window {
    since: Timestamp,
    finished: u32,
    total_duration: Duration,
    /// Whether a client was refused.
    refused_any: bool,
    /// How long the limit was reached.
    saturated_for: Duration,
}

impl Window {
    fn starting_at(since: Timestamp) -> Self {
        Self {
            since,
            finished: 0,
            total_duration: Duration::ZERO,
            refused_any: false,
            saturated_for: Duration::ZERO,
        }
    }
}

impl ConcurrencyLimit {
    /// `max` bounds the limit from above.
    pub fn new(max: u32) -> Self {
        let max = max.max(1);
        Self {
            max,
            limit: f64::from(INITIAL_LIMIT.min(max)),
            running: 0,
            rate: ASSUMED_RATE,
            smoothed_rate: ASSUMED_RATE,
            window: Window::starting_at(Timestamp::NEVER),
            observed_at: Timestamp::NEVER,
        }
    }

    /// The capacity that is left. A caller that refuses a client for want
    /// of it calls [`Self::record_refusal`].
    pub fn headroom(&self) -> Headroom {
        let running = f64::from(self.running);
        if running >= self.limit.floor() {
            Headroom::Exhausted
        } else if running >= self.limit * UNRESERVED {
            Headroom::Reserved
        } else {
            Headroom::Ample
        }
    }

    pub fn record_refusal(&mut self, now: Timestamp) {
        self.observe(now);
        self.window.refused_any = true;
    }

    /// Counts one more in progress.
    pub fn enter(&mut self, now: Timestamp) {
        self.observe(now);
        self.running += 1;
    }

    /// Counts one less, which took so long.
    pub fn finish(&mut self, took: Duration, now: Timestamp) {
        self.observe(now);
        self.running = self.running.saturating_sub(1);
        self.window.finished += 1;
        self.window.total_duration += took;
    }

    /// Counts one less, whose duration says nothing.
    pub fn abandon(&mut self) {
        self.running = self.running.saturating_sub(1);
    }

    /// When the next clients are to come.
    pub fn pace(&self) -> Pace {
        Pace {
            available_in: Duration::ZERO,
            interval: Duration::from_secs_f64(1.0 / (self.rate * PROMISED).max(1.0)),
        }
    }

    /// The number of starts that are in progress now.
    pub fn running(&self) -> u32 {
        self.running
    }

    /// The most that may be in progress now.
    pub fn limit(&self) -> u32 {
        self.limit as u32
    }

    /// Adds the time since the last call to the window, and evaluates it once it is over.
    fn observe(&mut self, now: Timestamp) {
        if self.headroom() == Headroom::Exhausted {
            self.window.saturated_for += now.since(self.observed_at.max(self.window.since));
        }
        self.observed_at = now;
        let window = self.window;
        let elapsed = now.since(window.since);
        // A clock that was set back begins a new window too.
        if elapsed < WINDOW && now >= window.since {
            return;
        }
        self.window = Window::starting_at(now);
        // A pause is no measurement.
        if elapsed.is_zero() || elapsed > 20 * WINDOW {
            return;
        }
        self.evaluate(window, elapsed);
    }

    fn evaluate(&mut self, window: Window, elapsed: Duration) {
        let seen = f64::from(window.finished) / elapsed.as_secs_f64();
        self.smoothed_rate += (seen - self.smoothed_rate) / 8.0;
        let mean = window.total_duration.checked_div(window.finished);
        let saturated = window.saturated_for.as_secs_f64() >= SATURATED * elapsed.as_secs_f64();
        self.rate = match mean {
            _ if saturated => self.rate + (seen - self.rate) / 8.0,
            // Reserved slots may have gone unused, so estimate from Little's law instead of the
            // observed rate.
            Some(mean) if window.refused_any => {
                let estimated = self.limit / mean.as_secs_f64().max(0.001);
                self.rate + (estimated - self.rate) / 8.0
            }
            _ => self.rate.max(self.smoothed_rate),
        };
        if let Some(mean) = mean {
            self.move_limit(mean, window.refused_any);
        }
    }

    fn move_limit(&mut self, mean: Duration, refused_any: bool) {
        let min = f64::from(MIN_LIMIT.min(self.max));
        if mean > TARGET_DURATION {
            self.limit = (self.limit * 0.9).max(min);
        } else if refused_any {
            self.limit = (self.limit * 1.05 + 1.0).min(f64::from(self.max));
        }
    }
}

#[cfg(test)]
mod tests;
