//! `muster hub monitor-events`: telemetry as it arrives.

use std::io::{self, Write};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use tokio::time::Instant;
use wire::telemetry::{EVENTS_MISSING, EVENTS_NEXT};

use crate::cli::output::Format;
use crate::cli::{Invocation, output};
use crate::service_client::{self, Call, Service};

/// Events of one request.
const PAGE: usize = 100;
/// Longest time that the server is asked to wait for an event, seconds.
const LONGEST_WAIT: u64 = 30;

/// `muster hub monitor-events`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
        muster hub monitor-events --device-id edge-001 --count 10 --data-dir ./data")]
pub struct MonitorEvents {
    /// Only events of this device.
    #[arg(long, short = 'd')]
    device_id: Option<String>,
    /// Only events of this module.
    #[arg(long, short = 'm')]
    module_id: Option<String>,
    /// Start after this offset [default: with the oldest event].
    #[arg(long)]
    after: Option<u64>,
    /// Start behind the checkpoint of this consumer group, which stays where it is.
    #[arg(long, visible_alias = "cg")]
    consumer_group: Option<String>,
    /// Format bodies as this content type, whatever their sender says.
    #[arg(long, visible_alias = "ct")]
    content_type: Option<String>,
    /// Which properties are printed [default: all].
    #[arg(long, short = 'p', value_enum, num_args = 1..)]
    properties: Vec<Properties>,
    /// Stop after this many events.
    #[arg(long)]
    count: Option<usize>,
    /// Stop when no event that is printed has arrived for this many seconds; 0 waits for ever.
    #[arg(long, short = 't')]
    timeout: Option<u64>,
}

/// Parts of an event beside its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Properties {
    /// Application and system properties, and annotations.
    All,
    /// Annotations: offset, sequence number and time.
    Anno,
    App,
    Sys,
}

/// Prints one event a line, with JSON and text bodies as such.
pub async fn run(flags: MonitorEvents, invocation: &Invocation) -> anyhow::Result<()> {
    let client = invocation.target.connect(Service::Hub)?;
    let oldest = flags.consumer_group.is_none().then_some(0);
    let (mut after, mut printed) = (flags.after.or(oldest), 0);
    let mut quiet = Quiet::new(flags.timeout, Instant::now());
    if invocation.output == Format::Table {
        output::line(&row(&HEADINGS.map(str::to_owned)))?;
    }
    loop {
        let query = query(&flags, after, quiet.wait(Instant::now()));
        let call = Call::new(Method::GET, &["muster", "v1", "events"]).query(&query);
        let (answer, headers) = client.call_for_headers(call).await?;
        warn_of_missing(&headers)?;
        let events = answer.as_array().map_or(&[][..], Vec::as_slice);
        for event in events {
            after = event.get("offset").and_then(Value::as_u64).or(after);
            if !flags.wants(event) {
                continue;
            }
            let event = readable(event.clone(), flags.content_type.as_deref());
            let event = with_properties(event, &flags.properties);
            output::line(&line(invocation.output, event))?;
            printed += 1;
            if flags.count == Some(printed) {
                return Ok(());
            }
            quiet.note_event(Instant::now());
        }
        let next =
            service_client::header_text(&headers, EVENTS_NEXT).and_then(|next| next.parse().ok());
        let next = next.max(after);
        // A page without events may still advance, over events that are damaged or expired.
        let is_last = match events.len() {
            0 => next == after,
            events => events < PAGE,
        };
        if is_last && quiet.is_over(Instant::now()) {
            return Ok(());
        }
        after = next;
    }
}

impl MonitorEvents {
    fn wants(&self, event: &Value) -> bool {
        let is = |member: &str, wanted: &Option<String>| {
            let found = event.get(member).and_then(Value::as_str);
            wanted.is_none() || found == wanted.as_deref()
        };
        is("deviceId", &self.device_id) && is("moduleId", &self.module_id)
    }
}

/// How long no wanted event has come.
struct Quiet {
    /// `None`: for ever.
    allowed: Option<Duration>,
    since: Instant,
}

impl Quiet {
    fn new(seconds: Option<u64>, now: Instant) -> Self {
        let seconds = seconds.filter(|seconds| *seconds > 0);
        Self {
            allowed: seconds.map(Duration::from_secs),
            since: now,
        }
    }

    fn note_event(&mut self, now: Instant) {
        self.since = now;
    }

    /// Seconds that the server is asked to wait for an event.
    fn wait(&self, now: Instant) -> u64 {
        let Some(allowed) = self.allowed else {
            return LONGEST_WAIT;
        };
        let left = allowed.saturating_sub(now.duration_since(self.since));
        let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
        seconds.min(LONGEST_WAIT)
    }

    fn is_over(&self, now: Instant) -> bool {
        let quiet = now.duration_since(self.since);
        self.allowed.is_some_and(|allowed| quiet >= allowed)
    }
}

fn query(flags: &MonitorEvents, after: Option<u64>, wait: u64) -> Vec<(&'static str, String)> {
    let mut query = vec![("max", PAGE.to_string()), ("wait", wait.to_string())];
    query.extend(after.map(|after| ("after", after.to_string())));
    query.extend(
        flags
            .consumer_group
            .clone()
            .map(|group| ("consumerGroup", group)),
    );
    query
}

fn warn_of_missing(headers: &HeaderMap) -> io::Result<()> {
    match service_client::header_text(headers, EVENTS_MISSING) {
        Some(missing) => writeln!(
            io::stderr(),
            "warning: events {missing} are damaged and cannot be read; the server's disk may be \
             failing"
        ),
        None => Ok(()),
    }
}

/// The event with the wanted properties alone; with all when none are named.
fn with_properties(mut event: Value, wanted: &[Properties]) -> Value {
    if wanted.is_empty() {
        return event;
    }
    let wants = |one: Properties| wanted.contains(&one) || wanted.contains(&Properties::All);
    if wants(Properties::Anno) {
        event["annotations"] = json!({
            "x-opt-sequence-number": event["offset"],
            "x-opt-offset": event["offset"].to_string(),
            "x-opt-enqueued-time": event["enqueuedTime"],
        });
    }
    if let Some(members) = event.as_object_mut() {
        let kept = |name: &str| match name {
            "properties" => wants(Properties::App),
            "systemProperties" => wants(Properties::Sys),
            _ => true,
        };
        members.retain(|name, _| kept(name));
    }
    event
}

/// The body as JSON, text, or base64, which `base64Encoded` then says. `content_type` counts more
/// than what the sender says.
fn readable(mut event: Value, content_type: Option<&str>) -> Value {
    let body = event
        .get("body")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let Ok(bytes) = STANDARD.decode(body) else {
        return event;
    };
    let said = event
        .pointer("/systemProperties/content-type")
        .and_then(Value::as_str);
    let says_json = content_type
        .or(said)
        .is_some_and(|kind| kind.to_ascii_lowercase().contains("json"));
    let printed = match String::from_utf8(bytes) {
        Ok(text) => match serde_json::from_str::<Value>(&text) {
            // Without a content type only `{…}` counts as JSON, because `12` may be anything.
            Ok(value) if says_json || value.is_object() || value.is_array() => value,
            _ if text.chars().any(|c| c.is_control() && !c.is_whitespace()) => Value::Null,
            _ => Value::String(text),
        },
        Err(_) => Value::Null,
    };
    match printed {
        Value::Null if body != "bnVsbA==" => event["base64Encoded"] = json!(true),
        printed => event["body"] = printed,
    }
    event
}

const HEADINGS: [&str; 5] = ["Offset", "EnqueuedTime", "DeviceId", "ModuleId", "Body"];

fn line(format: Format, event: Value) -> String {
    let cells = || {
        ["offset", "enqueuedTime", "deviceId", "moduleId", "body"].map(|name| match &event[name] {
            Value::Null => String::new(),
            Value::String(text) => one_line(text),
            other => other.to_string(),
        })
    };
    match format {
        Format::Json | Format::Jsonc => event.to_string(),
        Format::Table => row(&cells()),
        Format::Tsv => cells().join("\t"),
    }
}

/// A cell without tabs and line breaks, which would break the table.
fn one_line(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(plain).collect()
}

/// Columns have a fixed width, because rows come one by one.
fn row(cells: &[String; 5]) -> String {
    let [offset, time, device, module, body] = cells;
    let time = output::seconds(time);
    format!("{offset:<10}  {time:<20}  {device:<24}  {module:<16}  {body}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(body: &[u8], kind: &str) -> Value {
        let event = json!({
            "offset": 7,
            "enqueuedTime": "2026-01-02T03:04:05.0000000Z",
            "deviceId": "d1",
            "moduleId": null,
            "body": STANDARD.encode(body),
            "systemProperties": {"content-type": kind},
        });
        readable(event, None)
    }

    #[test]
    fn bodies_are_shown_as_what_they_are() {
        assert_eq!(printed(b"{\"t\":1}", "")["body"], json!({"t": 1}));
        assert_eq!(
            printed(b"12", "application/json; charset=utf-8")["body"],
            json!(12)
        );
        assert_eq!(printed(b"12", "")["body"], json!("12"));
        assert_eq!(printed("21 °C\n".as_bytes(), "")["body"], json!("21 °C\n"));
        assert_eq!(printed(b"", "application/json")["body"], json!(""));
        assert_eq!(printed(b"null", "application/json")["body"], json!(null));
        for bytes in [&b"\xff\x00"[..], b"a\x00b"] {
            let event = printed(bytes, "application/json");
            assert_eq!(event["body"], STANDARD.encode(bytes));
            assert_eq!(event["base64Encoded"], true);
        }
        assert_eq!(printed(b"x", "").get("base64Encoded"), None);
    }

    #[test]
    fn quiet_ends_when_it_was_as_long_as_allowed() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut quiet = Quiet::new(Some(45), begin);
        assert_eq!((quiet.wait(begin), quiet.wait(at(30))), (30, 15));
        assert!(!quiet.is_over(at(30)));
        let almost = begin + Duration::from_millis(44_900);
        assert_eq!((quiet.wait(almost), quiet.is_over(almost)), (1, false));
        assert_eq!((quiet.wait(at(45)), quiet.is_over(at(45))), (0, true));
        quiet.note_event(at(40));
        assert_eq!((quiet.wait(at(45)), quiet.is_over(at(45))), (30, false));
        let ever = Quiet::new(Some(0), begin);
        assert_eq!((ever.wait(at(9999)), ever.is_over(at(9999))), (30, false));
    }

    #[test]
    fn the_properties_that_are_asked_for_are_printed() {
        let event = json!({"offset": 7, "enqueuedTime": "t", "properties": {"k": "v"},
            "systemProperties": {"content-type": "x"}, "body": "b"});
        let with = |wanted: &[Properties]| with_properties(event.clone(), wanted);
        assert_eq!(with(&[]), event);
        let some = with(&[Properties::App, Properties::Anno]);
        assert_eq!(some["properties"], json!({"k": "v"}));
        assert_eq!(some["annotations"]["x-opt-offset"], "7");
        assert_eq!(some.get("systemProperties"), None);
        let all = with(&[Properties::All]);
        assert!(all.get("systemProperties").is_some() && all.get("annotations").is_some());
    }

    #[test]
    fn the_form_that_was_asked_for_is_printed() {
        let event = printed(b"two\tcolumns\n{", "");
        let table = line(Format::Table, event.clone());
        assert!(table.starts_with("7           2026-01-02T03:04:05Z  d1 "));
        assert!(table.ends_with("  two columns {"), "{table}");
        let tsv = "7\t2026-01-02T03:04:05.0000000Z\td1\t\ttwo columns {";
        assert_eq!(line(Format::Tsv, event.clone()), tsv);
        let json: Value = serde_json::from_str(&line(Format::Json, event.clone())).unwrap();
        assert_eq!(json, event);
    }
}
