//! The only place of the device programs that reads the clock.

use ids::Timestamp;
use time::OffsetDateTime;

#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the program's clock")]
pub fn now() -> Timestamp {
    Timestamp::from_offset_date_time(OffsetDateTime::now_utc())
}
