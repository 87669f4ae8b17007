//! The delivery to one endpoint: a thin loop around the log, the cursor and the requests.

use std::time::Duration;

use ids::{EndpointName, HubName, error_chain};
use registry::{EndpointCursor, StoredEvent};
use tokio::time::sleep;
use wire::muster_api::routing::WebhookEndpoint;

use super::backlog::{Attempt, Next, Outcome, Pacing};
use super::figures::{self, Fate};
use super::nats::NatsStream;
use super::{Endpoint, webhook};
use crate::service::Hub;

/// Events that are looked at together.
const PAGE: usize = 1000;
/// Time for more events to come after the first one.
const GATHER: Duration = Duration::from_millis(20);
/// Pause after the storage failed.
const STORAGE_PAUSE: Duration = Duration::from_secs(5);
/// The cursor is stored after so many events that were not for the endpoint, else after each
/// request.
const UNSTORED: u64 = 10_000;

struct Delivery {
    hub: Hub,
    at: HubName,
    name: EndpointName,
    destination: Destination,
    cursor: EndpointCursor,
    /// The position that is stored.
    stored: u64,
    pacing: Pacing,
}

enum Destination {
    Webhook(WebhookEndpoint),
    Nats(NatsStream),
}

impl Destination {
    fn new(endpoint: Endpoint) -> Self {
        match endpoint {
            Endpoint::Webhook(webhook) => Self::Webhook(webhook),
            Endpoint::Nats(stream) => Self::Nats(NatsStream::new(stream)),
        }
    }

    async fn send(&mut self, hub: &Hub, at: &HubName, events: &[StoredEvent]) -> Attempt {
        match self {
            Self::Webhook(webhook) => webhook::post(hub, at, webhook, events).await.into(),
            Self::Nats(stream) => stream.publish(hub, at, events).await,
        }
    }
}

/// Delivers for ever. Ends when the endpoint has no cursor: it was deleted.
pub(super) async fn run(hub: Hub, at: HubName, endpoint: Endpoint) {
    let name = endpoint.name().clone();
    let Some(cursor) = load(&hub, &at, &name).await else {
        return;
    };
    let key = (at.clone(), name.clone());
    hub.endpoint_health().note_position(&key, cursor.position);
    let mut delivery = Delivery {
        stored: cursor.position,
        pacing: Pacing::new(),
        hub,
        at,
        name,
        destination: Destination::new(endpoint),
        cursor,
    };
    loop {
        delivery.page().await;
    }
}

async fn load(hub: &Hub, at: &HubName, name: &EndpointName) -> Option<EndpointCursor> {
    loop {
        match hub.registry().endpoint_cursors(at).await {
            Ok(cursors) => return cursors.into_iter().find(|cursor| cursor.endpoint == *name),
            Err(error) => {
                let error = error_chain(&error);
                tracing::error!(error, hub.name = %at, endpoint = %name, "no cursor can be read");
                sleep(STORAGE_PAUSE).await;
            }
        }
    }
}

impl Delivery {
    /// Delivers what one look at the log finds; waits when there is nothing.
    async fn page(&mut self) {
        let registry = self.hub.registry().clone();
        let after = self.cursor.position;
        let read = registry.read_endpoint(&self.at, &self.name, after, PAGE);
        let page = match read.await {
            Ok(page) => page,
            Err(error) => {
                self.log_storage(&error);
                return sleep(STORAGE_PAUSE).await;
            }
        };
        if page.next == after {
            if let Err(error) = registry.wait_for_events(&self.at, after).await {
                self.log_storage(&error);
                sleep(STORAGE_PAUSE).await;
            }
            return sleep(GATHER).await;
        }
        let lost: u64 = page
            .missing
            .iter()
            .map(|range| range.end() - range.start() + 1)
            .sum();
        self.cursor.missed += lost + page.expired;
        figures::count_events(&self.at, &self.name, Fate::Missed, lost + page.expired);
        self.deliver(&page.events).await;
        self.advance_to(page.next);
        if self.cursor.position >= self.stored + UNSTORED || lost + page.expired > 0 {
            self.store().await;
        }
    }

    /// Returns when all events are delivered or given up.
    async fn deliver(&mut self, mut events: &[StoredEvent]) {
        while !events.is_empty() {
            let count = self.pacing.batch(events).min(events.len());
            let (batch, rest) = events.split_at(count);
            let attempt = self.destination.send(&self.hub, &self.at, batch).await;
            self.note(&attempt);
            let (taken, left) = batch.split_at(attempt.taken.min(count));
            self.finish(taken, Fate::Delivered).await;
            (_, events) = events.split_at(taken.len());
            match self.pacing.after(&attempt.outcome, left.len()) {
                Next::Advance { dead_letter } => {
                    let fate = match dead_letter {
                        true => Fate::DeadLettered,
                        false => Fate::Delivered,
                    };
                    self.finish(left, fate).await;
                    events = rest;
                }
                Next::Split => {}
                Next::RetryAfter(pause) => sleep(pause).await,
            }
        }
    }

    /// Counts events that are done, and goes on behind them.
    async fn finish(&mut self, events: &[StoredEvent], fate: Fate) {
        let Some(last) = events.last() else {
            return;
        };
        let done = u64::try_from(events.len()).unwrap_or(u64::MAX);
        let counter = match fate {
            Fate::Delivered => &mut self.cursor.delivered,
            Fate::DeadLettered => &mut self.cursor.dead_lettered,
            Fate::Missed => &mut self.cursor.missed,
        };
        *counter += done;
        figures::count_events(&self.at, &self.name, fate, done);
        self.advance_to(last.offset);
        self.store().await;
    }

    fn advance_to(&mut self, position: u64) {
        self.cursor.position = position;
        let key = (self.at.clone(), self.name.clone());
        self.hub.endpoint_health().note_position(&key, position);
    }

    fn note(&self, attempt: &Attempt) {
        let key = (self.at.clone(), self.name.clone());
        let (health, now) = (self.hub.endpoint_health(), self.hub.now());
        if attempt.taken > 0 {
            health.note_success(&key, now);
        }
        match &attempt.outcome {
            Outcome::Delivered => health.note_success(&key, now),
            Outcome::Refused(error) | Outcome::Failed(error) => {
                tracing::warn!(
                    hub.name = %self.at,
                    endpoint = %self.name,
                    error,
                    "events were not taken by an endpoint"
                );
                health.note_failure(&key, error.clone(), now);
                figures::count_failure(&self.at, &self.name);
            }
        }
    }

    /// Should this fail, events are delivered again after a restart.
    async fn store(&mut self) {
        let cursor = self.cursor.clone();
        match self.hub.registry().advance_endpoint(&self.at, cursor).await {
            Ok(()) => self.stored = self.cursor.position,
            Err(error) => self.log_storage(&error),
        }
    }

    fn log_storage(&self, error: &(dyn std::error::Error + 'static)) {
        let error = error_chain(error);
        let endpoint = &self.name;
        tracing::error!(
            error,
            hub.name = %self.at,
            %endpoint,
            "the storage fails while events are delivered"
        );
    }
}
