//! How many registrations may be under way at once, found by measuring how long they take.
//!
//! While they take longer than the aim, fewer are let in; while they are quick and more want in, more are. By Little's law what
//! is under way is throughput times duration, so a bound on the former at the measured throughput is a bound on the latter. The
//! measured throughput is also what turns a waiting line into seconds.

use std::time::Duration;

use ids::Timestamp;

use super::line::Room;

/// Registrations shall take no longer than this on average, so that all but one in a hundred take less than a second.
const AIM: Duration = Duration::from_millis(300);
/// How long is measured before the bound is moved.
const WINDOW: Duration = Duration::from_millis(100);
/// The bound never goes below this, however slow the storage is.
pub const LEAST: u32 = 32;
/// Where it starts.
const FIRST: u32 = 256;
/// What is assumed of a server that has not been measured, a second.
const ASSUMED_RATE: f64 = 400.0;
/// A window counts as a measurement of what the server can do when there was no room during this part of it. Otherwise what was
/// done says no more than what was asked, and to promise less for that would be to be asked less, and to measure less again.
const SATURATED: f64 = 0.5;
/// The part of the room that is for everybody; the rest is for those whose turn it is.
const FOR_ALL: f64 = 0.5;
/// Turns are given out for this part of what was measured, so that the line becomes shorter and not longer.
const PROMISED: f64 = 0.9;

/// The bound and what it is derived from.
#[derive(Debug, Clone)]
pub struct Capacity {
    most: u32,
    limit: f64,
    running: u32,
    /// Registrations a second: of windows in which there was no room, or the best that was seen.
    rate: f64,
    smoothed: f64,
    window: Window,
    /// When it was last heard of, to tell for how long there has been no room.
    heard: Timestamp,
}

/// What was measured since the bound was looked at.
#[derive(Debug, Clone, Copy)]
struct Window {
    since: Timestamp,
    done: u32,
    took: Duration,
    /// Whether somebody found no room.
    full: bool,
    /// How long there was no room.
    without_room: Duration,
}

impl Window {
    fn beginning(since: Timestamp) -> Self {
        Self {
            since,
            done: 0,
            took: Duration::ZERO,
            full: false,
            without_room: Duration::ZERO,
        }
    }
}

impl Capacity {
    /// A capacity of at most `most` at once.
    #[must_use]
    pub fn new(most: u32) -> Self {
        let most = most.max(1);
        Self {
            most,
            limit: f64::from(FIRST.min(most)),
            running: 0,
            rate: ASSUMED_RATE,
            smoothed: ASSUMED_RATE,
            window: Window::beginning(Timestamp::NEVER),
            heard: Timestamp::NEVER,
        }
    }

    /// The room that is left; to be told who is refused for want of it, see [`Self::found_full`].
    #[must_use]
    pub fn room(&self) -> Room {
        let running = f64::from(self.running);
        if running >= self.limit.floor() {
            Room::Full
        } else if running >= self.limit * FOR_ALL {
            Room::Scarce
        } else {
            Room::Plenty
        }
    }

    /// Notes that somebody was sent away.
    pub fn found_full(&mut self, now: Timestamp) {
        self.look(now);
        self.window.full = true;
    }

    /// One more is under way.
    pub fn enter(&mut self, now: Timestamp) {
        self.look(now);
        self.running += 1;
    }

    /// One is done.
    pub fn leave(&mut self, took: Duration, now: Timestamp) {
        self.look(now);
        self.running = self.running.saturating_sub(1);
        self.window.done += 1;
        self.window.took += took;
    }

    /// One was broken off: nothing is learned from it.
    pub fn break_off(&mut self) {
        self.running = self.running.saturating_sub(1);
    }

    /// How long a turn takes, for those who wait.
    #[must_use]
    pub fn turn(&self) -> Duration {
        Duration::from_secs_f64(1.0 / (self.rate * PROMISED).max(1.0))
    }

    /// How many are under way, and how many may be.
    #[must_use]
    pub fn running(&self) -> (u32, u32) {
        (self.running, self.limit as u32)
    }

    /// Draws conclusions once a window is over.
    fn look(&mut self, now: Timestamp) {
        if self.room() == Room::Full {
            self.window.without_room += now.since(self.heard.max(self.window.since));
        }
        self.heard = now;
        let window = self.window;
        let elapsed = now.since(window.since);
        // Also a clock that was set back begins a new window.
        if elapsed < WINDOW && now >= window.since {
            return;
        }
        self.window = Window::beginning(now);
        // A pause is no measurement.
        if elapsed.is_zero() || elapsed > 20 * WINDOW {
            return;
        }
        let seen = f64::from(window.done) / elapsed.as_secs_f64();
        self.smoothed += (seen - self.smoothed) / 8.0;
        let mean = window.took.checked_div(window.done);
        let saturated = window.without_room.as_secs_f64() >= SATURATED * elapsed.as_secs_f64();
        self.rate = match mean {
            _ if saturated => self.rate + (seen - self.rate) / 8.0,
            // What was kept for those whose turn it is may not have been used: as much again would have been done with it.
            Some(mean) if window.full => {
                let able = self.limit / mean.as_secs_f64().max(0.001);
                self.rate + (able - self.rate) / 8.0
            }
            _ => self.rate.max(self.smoothed),
        };
        if let Some(mean) = mean {
            self.move_limit(mean, window.full);
        }
    }

    fn move_limit(&mut self, mean: Duration, full: bool) {
        let least = f64::from(LEAST.min(self.most));
        if mean > AIM {
            self.limit = (self.limit * 0.9).max(least);
        } else if full {
            self.limit = (self.limit * 1.05 + 1.0).min(f64::from(self.most));
        }
    }
}

#[cfg(test)]
mod tests;
