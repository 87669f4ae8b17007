use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::IdError;

/// A moment in UTC, in units of 100 ns since 1970-01-01, as Azure's services count.
///
/// Shown with seven fraction digits and `Z`, for example `2026-01-02T03:04:05.6789012Z`;
/// [`Timestamp::NEVER`] is `0001-01-01T00:00:00Z`, which Azure sends for "has not happened". Only
/// programs read a clock; everything else is handed one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(i64);

/// Tells the time. Only programs make one that reads a real clock; tests make one that they set.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

const TICKS_PER_SECOND: i64 = 10_000_000;

impl Timestamp {
    /// `0001-01-01T00:00:00Z`, which Azure sends for a moment that never came.
    pub const NEVER: Self = Self(-62_135_596_800 * TICKS_PER_SECOND);

    /// From whole seconds since 1970.
    #[must_use]
    pub const fn from_unix_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(TICKS_PER_SECOND))
    }

    /// From units of 100 ns since 1970.
    #[must_use]
    pub const fn from_ticks(ticks: i64) -> Self {
        Self(ticks)
    }

    /// Units of 100 ns since 1970.
    #[must_use]
    pub const fn ticks(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970, rounded down.
    #[must_use]
    pub const fn unix_seconds(self) -> i64 {
        self.0.div_euclid(TICKS_PER_SECOND)
    }

    /// Whole milliseconds since 1970, rounded down.
    #[must_use]
    pub const fn unix_millis(self) -> i64 {
        self.0.div_euclid(TICKS_PER_SECOND / 1000)
    }

    /// This moment plus `duration`; stays at the end of time when it would pass it.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let ticks = i64::try_from(duration.as_nanos() / 100).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(ticks))
    }

    /// This moment minus `duration`.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        let ticks = i64::try_from(duration.as_nanos() / 100).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(ticks))
    }

    /// How long after `earlier` this moment is; zero when it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        let ticks = self.0.saturating_sub(earlier.0);
        u64::try_from(ticks).map_or(Duration::ZERO, |t| {
            Duration::from_nanos(t.saturating_mul(100))
        })
    }

    /// Parses a time as RFC 3339 writes it.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let parsed = OffsetDateTime::parse(text, &Rfc3339)
            .map_err(|e| IdError::new("timestamp", text, format!("is not RFC 3339: {e}")))?;
        Ok(Self::from_offset_date_time(parsed))
    }

    /// As HTTP writes dates (RFC 9110, IMF-fixdate): `Sun, 06 Nov 1994 08:49:37 GMT`.
    #[must_use]
    pub fn to_http_date(self) -> String {
        let t = self.to_offset_date_time();
        let (year, month, day) = t.to_calendar_date();
        let (hour, minute, second) = t.to_hms();
        let weekday = t.weekday().to_string();
        let month = month.to_string();
        format!(
            "{}, {day:02} {} {year:04} {hour:02}:{minute:02}:{second:02} GMT",
            weekday.get(..3).unwrap_or_default(),
            month.get(..3).unwrap_or_default(),
        )
    }

    /// Reads a date as [`to_http_date`](Self::to_http_date) writes it, the only form that servers
    /// send today.
    #[must_use]
    pub fn parse_http_date(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split_ascii_whitespace().collect();
        let [_, day, month, year, clock, "GMT"] = parts[..] else {
            return None;
        };
        let months = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ];
        let month = months.iter().position(|name| *name == month)? + 1;
        let month = time::Month::try_from(u8::try_from(month).ok()?).ok()?;
        let date = time::Date::from_calendar_date(year.parse().ok()?, month, day.parse().ok()?);
        let mut hms = clock.split(':').map(str::parse::<u8>);
        let mut next = || hms.next()?.ok();
        let of_day = time::Time::from_hms(next()?, next()?, next()?).ok()?;
        let moment = time::PrimitiveDateTime::new(date.ok()?, of_day).assume_utc();
        Some(Self::from_offset_date_time(moment))
    }

    /// For people, who read no fractions: `2026-01-02T03:04:05Z`.
    #[must_use]
    pub fn in_seconds(self) -> String {
        let mut text = self.to_string();
        if let Some(point) = text.find('.') {
            text.replace_range(point..text.len() - 1, "");
        }
        text
    }

    /// From the `time` crate's type.
    #[must_use]
    pub fn from_offset_date_time(moment: OffsetDateTime) -> Self {
        Self(i64::try_from(moment.unix_timestamp_nanos() / 100).unwrap_or(i64::MAX))
    }

    /// As the `time` crate's type; moments that it cannot hold become its last one.
    #[must_use]
    pub fn to_offset_date_time(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 100)
            .unwrap_or(time::PrimitiveDateTime::MAX.assume_utc())
    }
}

impl std::fmt::Display for Timestamp {
    /// By hand: every answer carries some of these.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let moment = OffsetDateTime::from_unix_timestamp(self.unix_seconds())
            .unwrap_or(time::PrimitiveDateTime::MAX.assume_utc());
        let (year, month, day) = moment.to_calendar_date();
        let (hour, minute, second) = moment.to_hms();
        let mut text = *b"0000-00-00T00:00:00.0000000Z";
        put_digits(&mut text[..4], year.unsigned_abs());
        for (place, number) in [
            (5, u8::from(month)),
            (8, day),
            (11, hour),
            (14, minute),
            (17, second),
        ] {
            put_digits(&mut text[place..place + 2], u32::from(number));
        }
        let fraction = self.0.rem_euclid(TICKS_PER_SECOND);
        put_digits(
            &mut text[20..27],
            u32::try_from(fraction).unwrap_or_default(),
        );
        if *self == Self::NEVER {
            return f.write_str("0001-01-01T00:00:00Z");
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

/// Fills `place` with the last digits of a number.
fn put_digits(place: &mut [u8], mut number: u32) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
    }
}

impl TryFrom<String> for Timestamp {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        Self::parse(&text)
    }
}

impl From<Timestamp> for String {
    fn from(timestamp: Timestamp) -> String {
        timestamp.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_seconds() {
        let moment = Timestamp::parse("2026-01-02T03:04:05.6789012Z").unwrap();
        assert_eq!(moment.in_seconds(), "2026-01-02T03:04:05Z");
        assert_eq!(Timestamp::NEVER.in_seconds(), "0001-01-01T00:00:00Z");
    }

    #[test]
    fn http_dates_are_read_as_they_are_written() {
        let moment = Timestamp::parse("1994-11-06T08:49:37Z").unwrap();
        let text = moment.to_http_date();
        assert_eq!(Timestamp::parse_http_date(&text), Some(moment));
        for other in [
            "",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 31 Feb 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49 GMT",
            "Sun, 06 Now 1994 08:49:37 GMT",
        ] {
            assert_eq!(Timestamp::parse_http_date(other), None, "{other}");
        }
    }

    #[test]
    fn seven_digits_and_back() {
        let text = "2026-01-02T03:04:05.6789012Z";
        assert_eq!(Timestamp::parse(text).unwrap().to_string(), text);
        assert_eq!(
            Timestamp::parse("0001-01-01T00:00:00Z").unwrap(),
            Timestamp::NEVER
        );
        assert_eq!(Timestamp::NEVER.to_string(), "0001-01-01T00:00:00Z");
        assert_eq!(
            Timestamp::parse("1994-11-06T08:49:37Z")
                .unwrap()
                .to_http_date(),
            "Sun, 06 Nov 1994 08:49:37 GMT"
        );
        let last = Timestamp::parse("9999-12-31T23:59:59.9999999Z").unwrap();
        assert_eq!(last.to_string(), "9999-12-31T23:59:59.9999999Z");
        let before_1970 = Timestamp::from_ticks(-1);
        assert_eq!(before_1970.to_string(), "1969-12-31T23:59:59.9999999Z");
        let whole = Timestamp::from_unix_seconds(0);
        assert_eq!(whole.to_string(), "1970-01-01T00:00:00.0000000Z");
        assert_eq!(
            whole.plus(Duration::from_secs(90)).since(whole),
            Duration::from_secs(90)
        );
    }
}
