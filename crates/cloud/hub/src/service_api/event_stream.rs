//! `GET /muster/v1/events` as server-sent events, for those who send `Accept: text/event-stream`.
//!
//! An event has its offset as `id`, its source as `event`, and as `data` the document of the other
//! answer. What is damaged is an event `missing` with the offsets that are lost.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::stream::unfold;
use ids::{HubName, error_chain};
use registry::{EventPage, Registry};
use rest::Reply;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::Call;
use crate::error::HubError;
use crate::event_view::document;
use crate::messages::open_streams::StreamPlace;

const CONTENT_TYPE: &str = "text/event-stream";
/// What a reader that comes back has seen.
const LAST_SEEN: &str = "last-event-id";
/// Most events that are read together.
const PAGE: usize = 100;
/// After so much silence a comment is sent, so that reader and proxies see that the stream lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// A stream ends after this. The reader comes back, and proves again that it may read.
const LIFETIME: Duration = Duration::from_secs(600);

pub(super) fn is_wanted(call: &Call) -> bool {
    let accepted = call.header("accept").unwrap_or_default().split(',');
    let mut kinds = accepted.filter_map(|kind| kind.split(';').next());
    kinds.any(|kind| kind.trim().eq_ignore_ascii_case(CONTENT_TYPE))
}

/// The offset of the last event that the reader has seen, when it comes back.
pub(super) fn last_seen(call: &Call) -> Result<Option<u64>, HubError> {
    let header = call.header(LAST_SEEN).filter(|header| !header.is_empty());
    let parse = |header: &str| {
        let error = || HubError::Bad(format!("Last-Event-ID {header:?} is not an offset"));
        header.parse().map_err(|_| error())
    };
    header.map(parse).transpose()
}

pub(super) fn open(call: &Call, after: u64) -> Result<Reply, HubError> {
    let at = call.permit.hub().clone();
    let place = call.service.open_streams().enter(&at);
    let stream = EventStream {
        _place: place.ok_or(HubError::TooManyStreams)?,
        registry: call.service.registry().clone(),
        at,
        after,
        draining: call.service.draining(),
        ends: Instant::now() + LIFETIME,
    };
    let parts = unfold(stream, |mut stream| async move {
        let part = stream.next().await?;
        Some((Ok::<_, Infallible>(part), stream))
    });
    let reply = Reply::stream(CONTENT_TYPE, Body::from_stream(parts));
    Ok(reply.with("cache-control", "no-cache"))
}

struct EventStream {
    _place: StreamPlace,
    registry: Registry,
    at: HubName,
    after: u64,
    draining: watch::Receiver<bool>,
    ends: Instant,
}

impl EventStream {
    /// What is sent next; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if *self.draining.borrow() || Instant::now() >= self.ends {
                return None;
            }
            let page = self.registry.read_events(&self.at, self.after, PAGE).await;
            let page = page.inspect_err(|error| log(&self.at, error)).ok()?;
            if page.next > self.after {
                self.after = page.next;
                return Some(encode(&page).into());
            }
            let silence = self.ends.min(Instant::now() + KEEP_ALIVE);
            // Cancel-safe: all arms only wait.
            tokio::select! {
                () = drained(&mut self.draining) => return None,
                more = self.registry.wait_for_events(&self.at, self.after) => {
                    more.inspect_err(|error| log(&self.at, error)).ok()?;
                }
                () = sleep_until(silence) => return Some(Bytes::from_static(b":\n\n")),
            }
        }
    }
}

async fn drained(draining: &mut watch::Receiver<bool>) {
    // An error means that the hubs are gone.
    let _ = draining.wait_for(|draining| *draining).await;
}

fn log(at: &HubName, error: &(dyn std::error::Error + 'static)) {
    let error = error_chain(error);
    tracing::error!(hub.name = %at, error, "a stream of events ends: they cannot be read");
}

fn encode(page: &EventPage) -> String {
    let mut text = String::new();
    // Writing to a text does not fail.
    let _ = page.missing.iter().try_for_each(|range| {
        let data = json!({"first": range.start(), "last": range.end()});
        write!(text, "event: missing\ndata: {data}\n\n")
    });
    let _ = page.events.iter().try_for_each(|stored| {
        let (offset, source) = (stored.offset, stored.event.source.message_source());
        // JSON has no line breaks; serialising it fails for no event.
        let data = serde_json::to_string(&document(stored)).unwrap_or_default();
        write!(text, "id: {offset}\nevent: {source}\ndata: {data}\n\n")
    });
    // Where the last of them are not for this endpoint, damaged or expired.
    let last = page.events.last().map(|stored| stored.offset);
    if last != Some(page.next) {
        let _ = write!(text, "id: {}\n\n", page.next);
    }
    text
}
