//! The one place of this program that reads the clock.

use ids::Timestamp;

/// The time now, in UTC.
#[expect(
    clippy::disallowed_methods,
    reason = "this module is the program's clock"
)]
pub fn now() -> Timestamp {
    Timestamp::from_offset_date_time(time::OffsetDateTime::now_utc())
}
