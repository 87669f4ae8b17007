//! `iotedge logs`: the output of one module.

use std::io::Write;
use std::time::Duration;

use anyhow::Context;
use bytes::{Buf, BytesMut};
use ids::Timestamp;
use wire::edge_api::local::LogsQuery;

use crate::Device;
use crate::output;

/// `iotedge logs`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  iotedge logs tempSensor --tail 20 -f")]
pub struct Logs {
    /// The module's name.
    module: String,
    /// How many lines from the end: a number, or all.
    #[arg(long, default_value = "all", value_parser = tail)]
    tail: Tail,
    /// Only lines since then: "1 day" ago, RFC 3339, or seconds since 1970.
    #[arg(long)]
    since: Option<String>,
    /// Only lines until then.
    #[arg(long)]
    until: Option<String>,
    /// Stay and print what comes.
    #[arg(long, short = 'f')]
    follow: bool,
}

/// How much of a log.
#[derive(Debug, Clone, Copy)]
enum Tail {
    All,
    Lines(u64),
}

fn tail(text: &str) -> Result<Tail, String> {
    match text {
        "all" => Ok(Tail::All),
        number => number
            .parse()
            .map(Tail::Lines)
            .map_err(|_| "a number, or all".to_owned()),
    }
}

/// Prints standard output and standard error of a module as they come.
pub async fn run(flags: &Logs, device: &Device) -> anyhow::Result<()> {
    let now = edge::clock::now();
    let query = LogsQuery {
        follow: flags.follow,
        tail: match flags.tail {
            Tail::All => None,
            Tail::Lines(lines) => Some(lines),
        },
        since: flags
            .since
            .as_deref()
            .map(|text| moment(text, now))
            .transpose()
            .context("--since")?,
        until: flags
            .until
            .as_deref()
            .map(|text| moment(text, now))
            .transpose()
            .context("--until")?,
        timestamps: false,
    };
    let path = format!(
        "/modules/{}/logs?{query}",
        wire::http::encode_segment(&flags.module)
    );
    let mut buffer = BytesMut::new();
    let print = |piece: &[u8]| {
        buffer.extend_from_slice(piece);
        output::printed(print_frames(&mut buffer))
    };
    Ok(device.client.pieces(&path, print).await?)
}

/// Prints every whole frame: stream (1 or 2), three zeros, length in big endian,
/// bytes (Docker's `attach` format).
fn print_frames(buffer: &mut BytesMut) -> std::io::Result<()> {
    const HEADER: usize = 8;
    while buffer.len() >= HEADER {
        let length = u32::from_be_bytes([buffer[4], buffer[5], buffer[6], buffer[7]]) as usize;
        if buffer.len() < HEADER + length {
            return Ok(());
        }
        let to_stderr = buffer[0] == 2;
        buffer.advance(HEADER);
        let text = buffer.split_to(length);
        if to_stderr {
            std::io::stderr().write_all(&text)?;
        } else {
            let mut out = std::io::stdout().lock();
            out.write_all(&text)?;
            out.flush()?;
        }
    }
    Ok(())
}

/// A time as seconds since 1970: `1 day` (ago), RFC 3339, or a number.
fn moment(text: &str, now: Timestamp) -> anyhow::Result<i64> {
    if let Ok(seconds) = text.parse() {
        return Ok(seconds);
    }
    if let Ok(moment) = Timestamp::parse(text) {
        return Ok(moment.unix_seconds());
    }
    let ago: Duration = humantime::parse_duration(text).with_context(|| {
        format!("{text:?} is no duration (\"1 day\"), no RFC 3339 time and no number of seconds")
    })?;
    Ok(now.minus(ago).unix_seconds())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_durations_times_or_numbers() {
        let now = Timestamp::from_unix_seconds(100_000);
        assert_eq!(moment("1 hour", now).unwrap(), 96_400);
        assert_eq!(moment("1970-01-01T00:01:00Z", now).unwrap(), 60);
        assert_eq!(moment("77", now).unwrap(), 77);
        assert!(moment("yesterday", now).is_err());
    }
}
