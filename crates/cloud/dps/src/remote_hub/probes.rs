//! Probes the remote hubs that are not called otherwise.

use std::time::Duration;

use provisioning::{HubAccess, LinkedHub};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::client::RemoteHub;
use crate::service::Dps;

/// How long the loop sleeps at most: a new link is found by then.
const PERIOD: Duration = Duration::from_secs(2);

/// Runs until `shutdown` turns true. Level-triggered: each round probes the hubs that are due.
pub async fn run(dps: &Dps, mut shutdown: watch::Receiver<bool>) {
    while !*shutdown.borrow() {
        let linked = linked(dps);
        dps.hub_health().retain(&linked);
        let round = probe_all(dps, &linked);
        // Both arms are cancel-safe: a probe that is dropped has no outcome.
        tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => return,
            () = round => {}
        }
        let rests = linked
            .iter()
            .map(|hub| dps.hub_health().next_probe_in(hub, dps.now()));
        let rest = rests.min().unwrap_or(PERIOD).min(PERIOD);
        tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => return,
            () = sleep(rest.max(Duration::from_millis(100))) => {}
        }
    }
}

/// The remote hubs that any service is linked to.
fn linked(dps: &Dps) -> Vec<LinkedHub> {
    let services = dps.tenants().provisioning().services();
    let mut linked: Vec<LinkedHub> = Vec::new();
    for hub in services.iter().flat_map(|service| &service.hubs) {
        let is_known = linked.iter().any(|known| known.name == hub.name);
        if hub.access != HubAccess::Local && !is_known {
            linked.push(hub.clone());
        }
    }
    linked
}

/// All at the same time, so that a silent one does not delay the others.
async fn probe_all(dps: &Dps, linked: &[LinkedHub]) {
    let mut probes = JoinSet::new();
    for hub in linked {
        if dps.hub_health().next_probe_in(hub, dps.now()).is_zero() {
            let (dps, hub) = (dps.clone(), hub.clone());
            probes.spawn(async move {
                if let Some(remote) = RemoteHub::for_link(&dps, &hub) {
                    // Its outcome is noted by the client.
                    let _ = remote.probe().await;
                }
            });
        }
    }
    while probes.join_next().await.is_some() {}
}
