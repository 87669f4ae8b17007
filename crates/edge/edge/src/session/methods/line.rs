//! LogLines of logs.

use regex::bytes::{Regex, RegexBuilder};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::FormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

use crate::provision::assignment::DeviceLocation;

/// The longest line; longer ones are cut into several. Bytes.
const MAX_LINE: usize = 64 * 1024;
/// Memory of one regular expression, bytes.
const MAX_REGEX: usize = 256 * 1024;
/// The severity of lines that name none: informational.
const USUAL_LEVEL: u8 = 6;
const STANDARD_ERROR: u8 = 2;
/// `yyyy-MM-dd HH:mm:ss.fff zzz`, as Azure recommends for logs.
const TIMESTAMP: &[FormatItem<'_>] = format_description!(
    "[year]-[month]-[day] [hour]:[minute]:[second].[subsecond digits:3] \
     [offset_hour sign:mandatory]:[offset_minute]"
);
const TIMESTAMP_LENGTH: usize = "2000-01-01 00:00:00.000 +00:00".len();

/// One line, with its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LogLine {
    /// 1 for standard output, 2 for standard error.
    pub(super) stream: u8,
    pub(super) text: Vec<u8>,
}

impl LogLine {
    /// The parts of `<6> 2000-01-01 00:00:00.000 +00:00 text`.
    pub(super) fn parts(&self) -> Parts<'_> {
        let whole = self.text.trim_ascii_end();
        let (level, rest) = match whole {
            [b'<', digit @ b'0'..=b'9', b'>', rest @ ..] => (digit - b'0', rest),
            _ => (USUAL_LEVEL, whole),
        };
        let rest = rest.trim_ascii_start();
        let timestamp = rest.get(..TIMESTAMP_LENGTH).and_then(|start| {
            let text = std::str::from_utf8(start).ok()?;
            OffsetDateTime::parse(text, TIMESTAMP).ok()
        });
        let text = match timestamp {
            Some(_) => rest[TIMESTAMP_LENGTH..].trim_ascii_start(),
            None => rest,
        };
        Parts {
            level,
            timestamp,
            text,
        }
    }

    /// As Azure's agent writes a line in JSON.
    pub(super) fn to_json(&self, location: &DeviceLocation, module: &str) -> Value {
        let parts = self.parts();
        let stream = match self.stream {
            STANDARD_ERROR => "stderr",
            _ => "stdout",
        };
        let timestamp = parts.timestamp.and_then(|at| at.format(&Rfc3339).ok());
        json!({
            "iothub": location.hub,
            "device": location.device_id,
            "id": module,
            "stream": stream,
            "loglevel": parts.level,
            "text": String::from_utf8_lossy(parts.text),
            "timestamp": timestamp,
        })
    }
}

/// What a line says, as far as it has the form that Azure recommends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parts<'a> {
    /// The severity of syslog.
    pub(super) level: u8,
    pub(super) timestamp: Option<OffsetDateTime>,
    pub(super) text: &'a [u8],
}

/// Puts lines together from pieces of a log.
#[derive(Debug, Default)]
pub(super) struct LogLines {
    /// What has come after the last end of a line, by stream.
    rests: [Vec<u8>; 3],
}

impl LogLines {
    /// Adds a piece of a stream, and hands over the lines that it ends.
    pub(super) fn push(&mut self, stream: u8, piece: &[u8], mut each: impl FnMut(LogLine)) {
        let stream = stream.min(STANDARD_ERROR);
        let rest = &mut self.rests[usize::from(stream)];
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            rest.extend_from_slice(part);
            if part.ends_with(b"\n") || rest.len() >= MAX_LINE {
                let text = std::mem::take(rest);
                each(LogLine { stream, text });
            }
        }
    }

    /// Hands over what has come without the end of its line.
    pub(super) fn end(&mut self, mut each: impl FnMut(LogLine)) {
        for (rest, stream) in self.rests.iter_mut().zip(0..) {
            let text = std::mem::take(rest);
            if !text.is_empty() {
                each(LogLine { stream, text });
            }
        }
    }
}

/// Reads a regular expression. `ignore_case` is for names of modules. The error is for the caller.
pub(super) fn regex(pattern: &str, ignore_case: bool) -> Result<Regex, String> {
    // Without Unicode tables, which would be larger than the rest of the program that logs.
    RegexBuilder::new(pattern)
        .unicode(false)
        .case_insensitive(ignore_case)
        .size_limit(MAX_REGEX)
        .build()
        .map_err(|error| format!("{pattern:?} is not a regular expression: {error}"))
}
