//! The daemon's own log as that of `edgeAgent`, which is a part of it.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use ids::Timestamp;
use wire::edge_api::local::LogsQuery;

use super::line::LogLine;

/// The last lines that are given when a request names no number.
const MAX_LINES: usize = 5000;
/// Severities of syslog and their words in Azure's logs, by the levels of ours.
const LEVELS: [(&str, u8, &str); 5] = [
    ("ERROR", 3, "ERR"),
    ("WARN", 4, "WRN"),
    ("INFO", 6, "INF"),
    ("DEBUG", 7, "DBG"),
    ("TRACE", 7, "VRB"),
];

/// The lines that a query asks for, in the form that Azure recommends.
pub(super) fn lines(path: &Path, query: &LogsQuery) -> VecDeque<LogLine> {
    let most = query.tail.and_then(|tail| usize::try_from(tail).ok());
    let most = most.unwrap_or(MAX_LINES).min(MAX_LINES);
    let mut found = VecDeque::new();
    let earlier = path.with_extension("log.1");
    for file in [earlier.as_path(), path] {
        // There may be no earlier file, and no file at all.
        let Ok(file) = File::open(file) else { continue };
        for line in BufReader::new(file).split(b'\n').map_while(Result::ok) {
            if is_within(&line, query) {
                if found.len() == most {
                    found.pop_front();
                }
                found.push_back(line);
            }
            if most == 0 {
                found.clear();
            }
        }
    }
    let as_line = |line: Vec<u8>| LogLine {
        stream: 1,
        text: rewritten(&String::from_utf8_lossy(&line)).into_bytes(),
    };
    found.into_iter().map(as_line).collect()
}

fn is_within(line: &[u8], query: &LogsQuery) -> bool {
    if query.since.is_none() && query.until.is_none() {
        return true;
    }
    let text = String::from_utf8_lossy(line);
    let Some(at) = text
        .split(' ')
        .next()
        .and_then(|word| Timestamp::parse(word).ok())
    else {
        return false;
    };
    let at = at.unix_seconds();
    query.since.is_none_or(|since| at >= since) && query.until.is_none_or(|until| at <= until)
}

/// `2000-01-01T00:00:00.000000Z  INFO text` becomes `<6> 2000-01-01 00:00:00.000 +00:00 [INF] text`.
fn rewritten(line: &str) -> String {
    let parts = line.split_once(' ').and_then(|(moment, rest)| {
        let (level, text) = rest.trim_start().split_once(' ')?;
        let (_, number, word) = LEVELS.iter().find(|(name, ..)| *name == level)?;
        let (date, time) = moment.strip_suffix('Z')?.split_once('T')?;
        let time = time.get(.."00:00:00.000".len())?;
        Some(format!("<{number}> {date} {time} +00:00 [{word}] {text}\n"))
    });
    parts.unwrap_or_else(|| format!("{line}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_of_the_daemon_is_read_as_azures_agent_writes_its() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("edged.log");
        let line = |second: u32, level: &str| {
            format!("2001-09-09T01:46:{second:02}.123456Z {level:>5} edge::x: text {second}\n")
        };
        std::fs::write(path.with_extension("log.1"), line(40, "INFO")).unwrap();
        std::fs::write(&path, line(41, "WARN") + &line(42, "ERROR") + "odd\n").unwrap();
        let read = |query: LogsQuery| {
            let lines = lines(&path, &query);
            let text = |line: LogLine| String::from_utf8(line.text).unwrap();
            lines.into_iter().map(text).collect::<Vec<_>>()
        };
        let all = read(LogsQuery::default());
        assert_eq!(all.len(), 4);
        assert_eq!(
            all[0],
            "<6> 2001-09-09 01:46:40.123 +00:00 [INF] edge::x: text 40\n"
        );
        assert_eq!(all[3], "odd\n");
        let tail = |tail| {
            read(LogsQuery {
                tail: Some(tail),
                ..LogsQuery::default()
            })
        };
        assert_eq!(tail(2), all[2..]);
        assert_eq!(tail(0), [] as [&str; 0]);
        let since = LogsQuery {
            since: Some(1_000_000_001),
            until: Some(1_000_000_001),
            ..LogsQuery::default()
        };
        assert_eq!(read(since), all[1..2]);
    }
}
