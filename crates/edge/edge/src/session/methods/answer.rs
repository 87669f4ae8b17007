//! The answer of `GetModuleLogs`, which fits into one answer of a direct method.

use std::collections::VecDeque;
use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::StreamExt;
use ids::Timestamp;
use serde_json::{Value, json};
use wire::edge_api::manifest::{LogsContent, LogsEncoding, LogsRequest, ModuleLogs};

use super::MethodError;
use super::line::LogLine;
use super::logs::{LogJob, LogSource};
use crate::provision::assignment::DeviceLocation;
use crate::runtime::{ModuleRuntime, RuntimeError};

/// The longest answer as JSON, bytes. The hub accepts 128 KiB.
const MAX_ANSWER: usize = 127_000;
/// What is held of a log that is compressed, bytes.
const MAX_COMPRESSED: usize = 1024 * 1024;

pub(super) async fn logs<R: ModuleRuntime>(
    source: &LogSource<R>,
    request: &LogsRequest,
    now: Timestamp,
) -> Result<Value, MethodError> {
    let held = match request.encoding {
        LogsEncoding::None => MAX_ANSWER,
        LogsEncoding::Gzip => MAX_COMPRESSED,
    };
    let mut answer = Vec::new();
    // The brackets.
    let mut left = MAX_ANSWER - 2;
    for job in source.select(&request.items).await? {
        let end = match read(source, &job, now, held).await {
            Ok(end) => end,
            // It was removed meanwhile.
            Err(RuntimeError::NoContainer(_)) => continue,
            Err(error) => return Err(error.into()),
        };
        let log = fitting(end.lines, request, &source.location, &job, left);
        left = left.saturating_sub(size(&log) + 1);
        answer.push(log);
    }
    Ok(json!(answer))
}

async fn read<R: ModuleRuntime>(
    source: &LogSource<R>,
    job: &LogJob,
    now: Timestamp,
    most: usize,
) -> Result<End, RuntimeError> {
    let mut end = End::new(most, job.filter.tail);
    let mut lines = source.lines(job, now).await?;
    while let Some(line) = lines.next().await {
        end.push(line?);
    }
    Ok(end)
}

/// The last lines of a log. Lines may be long and many, so that only so much is held.
struct End {
    lines: VecDeque<LogLine>,
    bytes: usize,
    most_bytes: usize,
    most_lines: Option<u64>,
}

impl End {
    fn new(most_bytes: usize, most_lines: Option<u64>) -> Self {
        Self {
            lines: VecDeque::new(),
            bytes: 0,
            most_bytes,
            most_lines,
        }
    }

    fn push(&mut self, line: LogLine) {
        self.bytes += line.text.len();
        self.lines.push_back(line);
        let too_many = |lines: usize| self.most_lines.is_some_and(|most| lines as u64 > most);
        while self.bytes > self.most_bytes || too_many(self.lines.len()) {
            let Some(first) = self.lines.pop_front() else {
                return;
            };
            self.bytes -= first.text.len();
        }
    }
}

/// As many of the last lines as fit into `left` bytes: the end of a log is more useful than its
/// beginning.
fn fitting(
    mut lines: VecDeque<LogLine>,
    request: &LogsRequest,
    location: &DeviceLocation,
    job: &LogJob,
    left: usize,
) -> ModuleLogs {
    loop {
        let text = content(lines.iter(), request.content, location, job);
        let log = encoded(&text, request.encoding, job);
        let size = size(&log);
        if size <= left || lines.is_empty() {
            return log;
        }
        let share = lines.len() * (size - left) / size;
        lines.drain(..share.clamp(1, lines.len()));
    }
}

/// The text of a log in the form that is asked for.
pub(super) fn content<'a>(
    lines: impl Iterator<Item = &'a LogLine>,
    content: LogsContent,
    location: &DeviceLocation,
    job: &LogJob,
) -> Vec<u8> {
    match content {
        LogsContent::Text => lines.flat_map(|line| line.text.iter().copied()).collect(),
        LogsContent::Json => {
            let lines = lines.map(|line| line.to_json(location, job.module.as_str()));
            Value::Array(lines.collect()).to_string().into_bytes()
        }
    }
}

fn encoded(text: &[u8], encoding: LogsEncoding, job: &LogJob) -> ModuleLogs {
    let id = job.module.to_string();
    match encoding {
        LogsEncoding::None => ModuleLogs {
            id,
            payload: Some(String::from_utf8_lossy(text).into_owned()),
            payload_bytes: None,
        },
        LogsEncoding::Gzip => ModuleLogs {
            id,
            payload: None,
            payload_bytes: Some(STANDARD.encode(gzip(text))),
        },
    }
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    // Writing into memory does not fail.
    let _ = encoder.write_all(text);
    encoder.finish().unwrap_or_default()
}

fn size(log: &ModuleLogs) -> usize {
    json!(log).to_string().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// C10: a log was read as a whole before it was cut.
    #[test]
    fn of_a_long_log_only_the_end_is_held() {
        let line = |number: u32| LogLine {
            stream: 1,
            text: format!("{number}\n").into_bytes(),
        };
        let mut end = End::new(30, None);
        for number in 0..100_000 {
            end.push(line(number));
            assert!(end.bytes <= 30);
        }
        assert_eq!(end.lines, (99_995..100_000).map(line).collect::<Vec<_>>());
        let mut end = End::new(1000, Some(2));
        (0..10).for_each(|number| end.push(line(number)));
        assert_eq!(end.lines, [line(8), line(9)]);
        let mut none = End::new(1000, Some(0));
        none.push(line(1));
        assert!(none.lines.is_empty());
    }
}
