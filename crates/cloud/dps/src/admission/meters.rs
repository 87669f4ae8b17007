//! What operators see of admission: counters, and a line of log now and then instead of one for each refusal.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use ids::Timestamp;
use metrics::{Counter, Gauge, counter, gauge};

use super::Cause;

/// The log says at most once in this time that devices are sent away.
const SILENCE: Duration = Duration::from_secs(10);

/// How busy the server is.
#[derive(Debug, Clone, Copy)]
pub struct State {
    /// Registrations under way.
    pub running: u32,
    /// How many may be.
    pub limit: u32,
    /// How long it takes to serve everybody who was sent away.
    pub waiting: Duration,
}

/// Handles of the counters, looked up once.
pub struct Meters {
    admitted: Counter,
    refused: [Counter; Cause::ALL.len()],
    under_way: Gauge,
    bound: Gauge,
    line: Gauge,
    unsaid: AtomicU64,
    said: AtomicI64,
}

impl Meters {
    /// After the recorder is installed; without one they count nothing.
    pub fn new() -> Self {
        let refused =
            |cause: Cause| counter!("muster_dps_requests_throttled_total", "cause" => cause.code());
        Self {
            admitted: counter!("muster_dps_registrations_admitted_total"),
            refused: Cause::ALL.map(refused),
            under_way: gauge!("muster_dps_registrations_under_way"),
            bound: gauge!("muster_dps_registrations_under_way_limit"),
            line: gauge!("muster_dps_line_seconds"),
            unsaid: AtomicU64::new(0),
            said: AtomicI64::new(Timestamp::NEVER.ticks()),
        }
    }

    /// Counts one.
    pub fn admitted(&self) {
        self.admitted.increment(1);
    }

    /// Sets the gauges.
    pub fn show(&self, state: State) {
        self.under_way.set(f64::from(state.running));
        self.bound.set(f64::from(state.limit));
        self.line.set(state.waiting.as_secs_f64());
    }

    /// Counts one; `state` is asked for only when something is said.
    pub fn refused(&self, cause: Cause, state: impl FnOnce() -> State, now: Timestamp) {
        self.refused[cause as usize].increment(1);
        self.unsaid.fetch_add(1, Ordering::Relaxed);
        let said = self.said.load(Ordering::Relaxed);
        if now.since(Timestamp::from_ticks(said)) < SILENCE {
            return;
        }
        let (order, now) = (Ordering::Relaxed, now.ticks());
        if self.said.compare_exchange(said, now, order, order).is_err() {
            return;
        }
        let (count, state) = (self.unsaid.swap(0, order), state());
        tracing::warn!(
            reason.code = cause.code(),
            "{count} requests of devices were answered 429 lately; {} registrations are under way of at most {}, and the last \
             device in line was told to wait {} s",
            state.running,
            state.limit,
            state.waiting.as_secs(),
        );
    }
}
