//! When unused images are removed.

use ids::Timestamp;

use crate::config::ImageGc;

const DAY: i64 = 24 * 3600;

/// Whether a run is due: the time of day has come since the last one, and as many days have passed
/// as there are between two runs. The time of day is UTC.
pub(super) fn is_due(last: Timestamp, now: Timestamp, settings: &ImageGc) -> bool {
    let time_of_day = i64::from(settings.minute_of_day) * 60;
    // Days begin at the time of day of the runs.
    let day = |at: Timestamp| (at.unix_seconds() - time_of_day).div_euclid(DAY);
    let days = i64::try_from(settings.recurrence.as_secs()).unwrap_or(i64::MAX) / DAY;
    day(now) - day(last) >= days.max(1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn runs_are_at_the_time_of_day_and_days_apart() {
        let settings = |days: u64| ImageGc {
            recurrence: Duration::from_secs(days * 24 * 3600),
            minute_of_day: 6 * 60,
            ..ImageGc::default()
        };
        let hour = |hour: i64| Timestamp::from_unix_seconds(1_000 * DAY + hour * 3600);
        let due = |days, last, now| is_due(hour(last), hour(now), &settings(days));
        assert!(!due(1, 3, 5));
        assert!(due(1, 3, 6));
        assert!(!due(1, 6, 29));
        assert!(due(1, 6, 30));
        assert!(due(1, 6, 100));
        assert!(!due(3, 6, 6 + 71) && due(3, 6, 6 + 72));
        // The clock was set back.
        assert!(!due(1, 100, 6));
    }
}
