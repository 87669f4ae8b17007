//! Brings events of the hubs themselves from the database, where they are written with what they
//! are about, into the logs.

use std::collections::HashMap;
use std::time::Duration;

use ids::HubName;
use registry::RelayError;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::service::Hub;

/// Hubs without a reported event are looked at this often.
const PERIOD: Duration = Duration::from_secs(30);
/// A hub whose storage failed is left alone for so long.
const PAUSE: Duration = Duration::from_secs(1);

/// Relays until `shutdown` turns true. Level-triggered: each pass starts from what is stored.
pub(crate) async fn run(hub: &Hub, mut shutdown: watch::Receiver<bool>) {
    let mut changes = hub.hub_events();
    let mut relay = Relay::default();
    while !*shutdown.borrow() {
        // Before the pass: an event during it must wake the next one.
        changes.mark_unchanged();
        let rest = relay.pass(hub, &shutdown).await;
        // Cancel-safe: all arms only wait.
        tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => return,
            _ = changes.changed() => {}
            () = sleep(rest) => {}
        }
    }
}

/// What is known of the hubs beside what is stored.
#[derive(Default)]
struct Relay {
    hubs: HashMap<HubName, Progress>,
}

#[derive(Default)]
struct Progress {
    /// The row up to which events are in the log, but not out of the database.
    appended: Option<i64>,
    /// When the hub has its next turn after a failure.
    not_before: Option<Instant>,
}

impl Relay {
    /// Relays a batch of each hub, so that none waits for all events of another; returns how long
    /// to wait without a reported event.
    async fn pass(&mut self, hub: &Hub, shutdown: &watch::Receiver<bool>) -> Duration {
        let local = hub.registry().hubs();
        let is_local = |name: &HubName| local.hubs.iter().any(|local| local.name == *name);
        self.hubs.retain(|name, _| is_local(name));
        let mut rest = PERIOD;
        for local in &local.hubs {
            if *shutdown.borrow() {
                break;
            }
            let progress = self.hubs.entry(local.name.clone()).or_default();
            let now = Instant::now();
            if let Some(wait) = progress.not_before.map(|at| at.duration_since(now))
                && !wait.is_zero()
            {
                rest = rest.min(wait);
                continue;
            }
            progress.not_before = None;
            match progress.relay(hub, &local.name).await {
                Ok(true) => rest = Duration::ZERO,
                Ok(false) => {}
                Err(error) => {
                    tracing::error!(
                        hub.name = %local.name,
                        error = &error as &dyn std::error::Error,
                        "events of a hub were not appended to its log"
                    );
                    progress.not_before = Some(Instant::now() + PAUSE);
                    rest = rest.min(PAUSE);
                }
            }
        }
        rest
    }
}

impl Progress {
    /// Relays a batch; whether more may wait. What was appended before is deleted first: it is
    /// not appended again because only its deletion failed.
    async fn relay(&mut self, hub: &Hub, at: &HubName) -> Result<bool, RelayError> {
        let registry = hub.registry();
        if let Some(last) = self.appended {
            registry.delete_hub_events(at, last).await?;
            self.appended = None;
        }
        let Some(appended) = registry.append_hub_events(at, hub.now()).await? else {
            return Ok(false);
        };
        self.appended = Some(appended.last);
        registry.delete_hub_events(at, appended.last).await?;
        self.appended = None;
        Ok(appended.more)
    }
}
