//! `POST /devices/{id}/messages/events` of devices, and our own
//! `GET /muster/v1/events` of operators.

use std::ops::RangeInclusive;
use std::time::Duration;

use axum::http::header::CONTENT_TYPE;
use ids::{ConsumerGroup, DeviceId, ModuleId};
use registry::Right;
use rest::{Reply, get, post};
use tokio::time::{Instant, timeout_at};
use wire::telemetry::{
    BATCH, EVENTS_MISSING, EVENTS_NEXT, EventDocument, parse_batch, property_name,
};

use super::access::Access;
use super::{Call, Route, event_stream};
use crate::error::HubError;
use crate::event_view::document;
use crate::messages::telemetry::{self, Message, TelemetryError};

/// Most events of one answer.
const MAX_EVENTS: usize = 1000;
/// Longest wait for an event, seconds.
const MAX_WAIT: u64 = 60;

/// A batch of telemetry: base64 of 256 KB and its properties.
const MAX_BATCH_BODY: usize = 512 * 1024;

pub(super) fn routes() -> Vec<Route> {
    vec![
        post(
            "/devices/{device}/messages/events",
            Access::Sender,
            |call, _device: DeviceId| send(call),
        )
        .body_limit(MAX_BATCH_BODY),
        post(
            "/devices/{device}/modules/{module}/messages/events",
            Access::Sender,
            |call, _device: DeviceId, _module: ModuleId| send(call),
        )
        .body_limit(MAX_BATCH_BODY),
        get(
            "/muster/v1/events",
            Access::AnyOf(&[Right::ServiceConnect]),
            read,
        )
        .without_version(),
    ]
}

/// Keeps one message, or a batch in its order. 204 once everything is on disk.
async fn send(call: Call) -> Result<Reply, HubError> {
    let sender = call.permit.sender().ok_or(HubError::NoCredentials)?;
    let content_type = call.header(CONTENT_TYPE.as_str()).unwrap_or_default();
    let is_batch = content_type
        .get(..BATCH.len())
        .is_some_and(|head| head.eq_ignore_ascii_case(BATCH));
    let messages = if is_batch {
        parse_batch(&call.body)?
            .into_iter()
            .map(|posted| Message::new(posted.properties, posted.body))
            .collect()
    } else {
        vec![Message::new(properties(&call)?, call.body.to_vec())]
    };
    telemetry::append_all(&call.service, sender, messages).await?;
    Ok(Reply::no_content())
}

fn properties(call: &Call) -> Result<Vec<(String, String)>, HubError> {
    let mut properties = Vec::new();
    for (name, value) in call.headers() {
        let Some(property) = property_name(name.as_str()) else {
            continue;
        };
        let text = std::str::from_utf8(value.as_bytes())
            .map_err(|_| HubError::Bad(format!("the header {name} is not UTF-8")))?;
        properties.push((property, text.to_owned()));
    }
    Ok(properties)
}

/// `?after=N&max=M&wait=S`: the hub's events behind number N, waiting up to S seconds
/// for the first one. With `consumerGroup=NAME` and without `after`: behind the group's checkpoint.
/// As a stream where the caller accepts one.
async fn read(call: Call) -> Result<Reply, HubError> {
    if event_stream::is_wanted(&call) {
        refuse_paging(&call)?;
        let last_seen = event_stream::last_seen(&call)?;
        let after = match last_seen {
            Some(last_seen) => last_seen,
            None => begin(&call).await?,
        };
        return event_stream::open(&call, after);
    }
    let mut after = begin(&call).await?;
    let max =
        number(&call, "max")?.map_or(MAX_EVENTS, |max| usize::try_from(max).unwrap_or(MAX_EVENTS));
    let max = max.clamp(1, MAX_EVENTS);
    let wait = number(&call, "wait")?.unwrap_or(0).min(MAX_WAIT);
    let deadline = Instant::now() + Duration::from_secs(wait);
    let registry = call.service.registry();
    let mut missing = Vec::new();
    loop {
        let page = registry
            .read_events(call.permit.hub(), after, max)
            .await
            .map_err(TelemetryError::from)?;
        let moved = page.next > after;
        after = page.next;
        missing.extend(page.missing);
        // One read looks at so much; where all of it is damaged, the answer says how far that
        // is, and asks again.
        if !page.events.is_empty() || (moved && Instant::now() >= deadline) {
            let rows = page.events.iter().map(document).collect();
            return Ok(reply(rows, after, &missing));
        }
        if moved {
            continue;
        }
        let more = registry.wait_for_events(call.permit.hub(), after);
        match timeout_at(deadline, more).await {
            Ok(more) => more.map_err(TelemetryError::from)?,
            Err(_late) => return Ok(reply(Vec::new(), after, &missing)),
        }
    }
}

/// A stream has neither pages nor an end of waiting.
fn refuse_paging(call: &Call) -> Result<(), HubError> {
    match ["max", "wait"]
        .iter()
        .find(|name| call.query(name).is_some())
    {
        None => Ok(()),
        Some(name) => Err(HubError::Bad(format!(
            "{name} is for answers in JSON, not for text/event-stream"
        ))),
    }
}

/// The number to begin after.
async fn begin(call: &Call) -> Result<u64, HubError> {
    let after = number(call, "after")?;
    let Some(group) = call.query("consumerGroup") else {
        return Ok(after.unwrap_or(0));
    };
    let group = ConsumerGroup::parse(&group).map_err(|error| HubError::Bad(error.to_string()))?;
    let registry = call.service.registry();
    let found = registry.consumer_group(call.permit.hub(), &group).await?;
    let checkpoint = found.checkpoint.map(|(offset, _)| offset);
    Ok(after.or(checkpoint).unwrap_or(0))
}

fn reply(rows: Vec<EventDocument>, next: u64, missing: &[RangeInclusive<u64>]) -> Reply {
    let reply = Reply::json(&rows).with(EVENTS_NEXT, &next.to_string());
    if missing.is_empty() {
        return reply;
    }
    let range = |range: &RangeInclusive<u64>| format!("{}-{}", range.start(), range.end());
    let ranges: Vec<_> = missing.iter().map(range).collect();
    reply.with(EVENTS_MISSING, &ranges.join(","))
}

fn number(call: &Call, name: &str) -> Result<Option<u64>, HubError> {
    let parse = |text: String| {
        text.parse()
            .map_err(|_| HubError::Bad(format!("{name}={text:?} is not a whole number")))
    };
    call.query(name).map(parse).transpose()
}
