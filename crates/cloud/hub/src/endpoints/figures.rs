//! What the metrics say of endpoints.

use ids::{EndpointName, HubName};

use super::{Endpoint, Key};
use crate::service::Hub;

/// What became of events for an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Delivered,
    /// Left behind, because the endpoint refused it in a way that no repetition mends.
    DeadLettered,
    /// Gone from the log, or damaged.
    Missed,
}

pub(super) fn count_events(at: &HubName, endpoint: &EndpointName, fate: Fate, events: u64) {
    let result = match fate {
        Fate::Delivered => "delivered",
        Fate::DeadLettered => "dead_lettered",
        Fate::Missed => "missed",
    };
    let labels = [
        ("hub", at.to_string()),
        ("endpoint", endpoint.to_string()),
        ("result", result.to_owned()),
    ];
    metrics::counter!("muster_hub_endpoint_events_total", &labels).increment(events);
}

pub(super) fn count_failure(at: &HubName, endpoint: &EndpointName) {
    metrics::counter!("muster_hub_endpoint_failures_total", &labels(at, endpoint)).increment(1);
}

fn labels(at: &HubName, endpoint: &EndpointName) -> [(&'static str, String); 2] {
    [("hub", at.to_string()), ("endpoint", endpoint.to_string())]
}

/// An endpoint that was deleted is behind nothing.
pub(super) fn clear_backlog((at, endpoint): &Key) {
    metrics::gauge!("muster_hub_endpoint_behind", &labels(at, endpoint)).set(0.0);
}

/// Says how many events of the log are behind the place of each endpoint whose place is known.
pub(super) fn measure_backlog(hub: &Hub) {
    for local in &hub.registry().hubs().hubs {
        let Some(table) = hub.registry().routing_table(&local.name) else {
            continue;
        };
        let last = hub.registry().last_event(&local.name);
        for endpoint in Endpoint::all(&table) {
            let key = (local.name.clone(), endpoint.name().clone());
            let Some(position) = hub.endpoint_health().of(&key).position else {
                continue;
            };
            let behind = last.saturating_sub(position);
            let gauge = metrics::gauge!("muster_hub_endpoint_behind", &labels(&key.0, &key.1));
            #[expect(
                clippy::cast_precision_loss,
                reason = "a gauge is a float; so many events are exact in it"
            )]
            gauge.set(behind as f64);
        }
    }
}
