//! Brings staged rollouts further: a thin loop around the registry's steps.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::service::Hub;

/// How often devices of active rollouts are looked at, at most.
const PERIOD: Duration = Duration::from_secs(2);
/// A look at many devices takes its time: this many times as long passes before the next one.
const REST: u32 = 10;

/// Steps every active rollout until `shutdown` turns true. Level-triggered: what is stored says how
/// far each is.
pub(crate) async fn run(hub: &Hub, mut shutdown: watch::Receiver<bool>) {
    while !*shutdown.borrow() {
        let begun = Instant::now();
        for local in &hub.registry().hubs().hubs {
            let stepped = hub.registry().step_rollouts(&local.name, hub.now()).await;
            if let Err(error) = stepped {
                tracing::error!(
                    hub.name = %local.name,
                    error = &error as &dyn std::error::Error,
                    "rollouts were not brought further"
                );
            }
        }
        let rest = (begun.elapsed() * REST).max(PERIOD);
        // Cancel-safe: both arms only wait.
        tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => return,
            () = sleep(rest) => {}
        }
    }
}
