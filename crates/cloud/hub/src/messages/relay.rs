//! Brings events of the hubs themselves from the database, where they are written with what they
//! are about, into the logs.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use crate::service::Hub;

/// Hubs without a reported event are looked at this often.
const PERIOD: Duration = Duration::from_secs(30);
/// Pause after the storage failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Relays until `shutdown` turns true. Level-triggered: each pass starts from what is stored.
pub(crate) async fn run(hub: &Hub, mut shutdown: watch::Receiver<bool>) {
    let mut changes = hub.hub_events();
    while !*shutdown.borrow() {
        // Before the pass: an event during it must wake the next one.
        changes.mark_unchanged();
        let rest = pass(hub).await;
        // Cancel-safe: all arms only wait.
        tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => return,
            _ = changes.changed() => {}
            () = sleep(rest) => {}
        }
    }
}

/// Relays what is there; returns how long to wait without a reported event.
async fn pass(hub: &Hub) -> Duration {
    let mut rest = PERIOD;
    for local in &hub.registry().hubs().hubs {
        loop {
            match hub
                .registry()
                .relay_hub_events(&local.name, hub.now())
                .await
            {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    tracing::error!(
                        hub.name = %local.name,
                        error = &error as &dyn std::error::Error,
                        "events of a hub were not appended to its log"
                    );
                    rest = PAUSE;
                    break;
                }
            }
        }
    }
    rest
}
