//! A moment in a request for logs.

use std::time::Duration;

use ids::Timestamp;
use serde_json::Value;

use crate::lenient::{BodyError, Fields};

/// Units of a duration, in seconds. Longer names may end with `s`.
const UNITS: [(&[&str], u64); 5] = [
    (&["w", "week"], 7 * 24 * 3600),
    (&["d", "day"], 24 * 3600),
    (&["h", "hr", "hour"], 3600),
    (&["m", "min", "minute"], 60),
    (&["s", "sec", "second"], 1),
];

/// `since` or `until`: seconds since 1970, a timestamp of RFC 3339, or a duration before now, for
/// example `90m` or `2 days 3 hours`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Seconds since 1970.
    At(i64),
    /// As long before now.
    Before(Duration),
}

impl Moment {
    /// Reads a member that may be absent.
    pub(super) fn read(fields: &Fields<'_>, name: &str) -> Result<Option<Self>, BodyError> {
        let Some(value) = fields.get(name) else {
            return Ok(None);
        };
        let read = match value {
            Value::Number(number) => number.as_i64().map(Self::At),
            Value::String(text) if text.trim().is_empty() => return Ok(None),
            Value::String(text) => Self::parse(text),
            _ => None,
        };
        read.map(Some).ok_or_else(|| {
            fields.error(
                name,
                "seconds since 1970, a timestamp of RFC 3339 or a duration such as 90m was \
                 expected",
            )
        })
    }

    /// Reads a text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(seconds) = text.parse() {
            return Some(Self::At(seconds));
        }
        if let Ok(timestamp) = Timestamp::parse(text) {
            return Some(Self::At(timestamp.unix_seconds()));
        }
        duration(text).map(Self::Before)
    }

    /// Seconds since 1970.
    #[must_use]
    pub fn unix_seconds(self, now: Timestamp) -> i64 {
        match self {
            Self::At(seconds) => seconds,
            Self::Before(duration) => {
                let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
                now.unix_seconds().saturating_sub(seconds)
            }
        }
    }
}

/// `2 days 3 hours`, `1h30m`, `90 min`.
fn duration(text: &str) -> Option<Duration> {
    let mut seconds: u64 = 0;
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let tail = tail.trim_start();
        let end = tail.find(|c: char| !c.is_ascii_alphabetic());
        let (word, tail) = tail.split_at(end.unwrap_or(tail.len()));
        let word = word.to_ascii_lowercase();
        let named = |name: &&str| {
            word == **name || (name.len() > 1 && word.strip_suffix('s') == Some(*name))
        };
        let unit = UNITS.iter().find(|(names, _)| names.iter().any(&named));
        let part = number.parse::<u64>().ok()?.checked_mul(unit?.1)?;
        seconds = seconds.checked_add(part)?;
        rest = tail.trim_start();
    }
    Some(Duration::from_secs(seconds))
}
