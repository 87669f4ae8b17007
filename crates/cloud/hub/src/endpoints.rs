//! Delivers events to the endpoints of the hubs: each is a reader of its hub's log with a durable
//! cursor. At least once, in order.

use std::collections::HashMap;
use std::time::Duration;

use ids::{EndpointName, HubName};
use outbound::OnBehalf;
use registry::routing::RoutingTable;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;
use wire::muster_api::routing::{NatsEndpoint, WebhookEndpoint};

use crate::service::Hub;

mod backlog;
mod deliver;
mod figures;
pub(crate) mod health;
mod nats;
mod webhook;

/// Endpoints without a reported change are looked at this often.
const PERIOD: Duration = Duration::from_secs(30);

type Key = (HubName, EndpointName);

/// An endpoint that events are delivered to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Endpoint {
    Webhook(WebhookEndpoint),
    Nats(NatsEndpoint),
}

impl Endpoint {
    fn name(&self) -> &EndpointName {
        match self {
            Self::Webhook(webhook) => &webhook.name,
            Self::Nats(stream) => &stream.name,
        }
    }

    fn all(table: &RoutingTable) -> impl Iterator<Item = Self> {
        let endpoints = &table.document().endpoints;
        let webhooks = endpoints.webhooks.iter().cloned().map(Self::Webhook);
        let streams = endpoints.nats_streams.iter().cloned().map(Self::Nats);
        webhooks.chain(streams)
    }
}

impl Hub {
    /// Sets the gauges of the endpoints.
    pub fn show_metrics(&self) {
        figures::measure_backlog(self);
    }
}

/// The first hub is the owner's.
fn on_behalf(hub: &Hub, at: &HubName) -> OnBehalf {
    let local = hub.registry().hubs();
    match local.hubs.first().is_some_and(|first| first.name == *at) {
        true => OnBehalf::Owner,
        false => OnBehalf::Tenant,
    }
}

/// The deliveries that run, with the endpoints that they are for.
#[derive(Default)]
struct Running {
    deliveries: HashMap<Key, (Endpoint, AbortHandle)>,
    tasks: JoinSet<()>,
}

/// Runs a delivery for each endpoint until `shutdown` turns true. What is interrupted then is
/// delivered again.
pub(crate) async fn run(hub: &Hub, mut shutdown: watch::Receiver<bool>) {
    let mut changes = hub.routing_changes();
    let mut running = Running::default();
    while !*shutdown.borrow() {
        // Before the look: a change during it must wake the next one.
        changes.mark_unchanged();
        running.follow(hub);
        // Cancel-safe: all arms only wait.
        tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => {}
            _ = changes.changed() => {}
            () = sleep(PERIOD) => {}
        }
    }
    running.tasks.shutdown().await;
}

impl Running {
    /// Ends what is not wanted any more, and begins what is new. A delivery that ended begins
    /// again.
    fn follow(&mut self, hub: &Hub) {
        while let Some(ended) = self.tasks.try_join_next() {
            if let Err(error) = ended
                && !error.is_cancelled()
            {
                let error = &error as &dyn std::error::Error;
                tracing::error!(
                    error,
                    "a delivery to an endpoint ended by a fault; it begins again"
                );
            }
        }
        let wanted = wanted(hub);
        self.deliveries.retain(|key, (endpoint, task)| {
            if !wanted.contains_key(key) {
                figures::clear_backlog(key);
            }
            let stays = wanted.get(key) == Some(endpoint) && !task.is_finished();
            if !stays {
                task.abort();
            }
            stays
        });
        hub.endpoint_health().retain(|key| wanted.contains_key(key));
        for (key, endpoint) in wanted {
            if !self.deliveries.contains_key(&key) {
                let (hub, at, to) = (hub.clone(), key.0.clone(), endpoint.clone());
                let task = self.tasks.spawn(deliver::run(hub, at, to));
                self.deliveries.insert(key, (endpoint, task));
            }
        }
    }
}

fn wanted(hub: &Hub) -> HashMap<Key, Endpoint> {
    let mut wanted = HashMap::new();
    for local in &hub.registry().hubs().hubs {
        let Some(table) = hub.registry().routing_table(&local.name) else {
            continue;
        };
        for endpoint in Endpoint::all(&table) {
            let key = (local.name.clone(), endpoint.name().clone());
            wanted.insert(key, endpoint);
        }
    }
    wanted
}
