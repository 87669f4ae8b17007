//! The only place of the device programs that reads the clock.

use std::time::Duration;

use ids::Timestamp;
use nix::time::{ClockId, clock_gettime};
use time::OffsetDateTime;

/// 2026-11-01: this program did not exist before.
pub const EARLIEST: Timestamp = Timestamp::from_unix_seconds(1_793_491_200);

/// Whether a clock can be right.
#[must_use]
pub fn is_plausible(clock: Timestamp) -> bool {
    clock >= EARLIEST
}

#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the program's clock")]
pub fn now() -> Timestamp {
    Timestamp::from_offset_date_time(OffsetDateTime::now_utc())
}

/// How long the machine has been on, with the time in which it slept. Setting the clock does not
/// change it.
#[must_use]
pub fn uptime() -> Duration {
    clock_gettime(ClockId::CLOCK_BOOTTIME)
        .map(Duration::from)
        .unwrap_or_default()
}
