//! Evaluates the custom metrics of configurations: a thin loop around the registry's queries.

use std::time::Duration;

use ids::HubName;
use registry::StorageError;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::service::Hub;

/// How soon the metrics of a configuration that was written are evaluated.
const SOON: Duration = Duration::from_secs(2);
/// How often all metrics are evaluated; Azure documents five minutes.
const PERIOD: Duration = Duration::from_secs(300);
/// Metrics over many devices take their time: this many times as long passes before the next run.
const REST: u32 = 20;

/// Evaluates metrics until `shutdown` turns true: those of configurations that were written since
/// their last count at once, all of them every five minutes.
pub(crate) async fn run(hub: &Hub, mut shutdown: watch::Receiver<bool>) {
    let mut all_due = Instant::now();
    while !*shutdown.borrow() {
        let begun = Instant::now();
        let all = begun >= all_due;
        for local in &hub.registry().hubs().hubs {
            if let Err(error) = evaluate(hub, &local.name, all).await {
                tracing::error!(
                    hub.name = %local.name,
                    error = &error as &dyn std::error::Error,
                    "metrics were not evaluated"
                );
            }
        }
        if all {
            all_due = begun + PERIOD;
        }
        let rest = (begun.elapsed() * REST).clamp(SOON, PERIOD);
        // Cancel-safe: both arms only wait.
        tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => return,
            () = sleep(rest) => {}
        }
    }
}

async fn evaluate(hub: &Hub, name: &HubName, all: bool) -> Result<(), StorageError> {
    let registry = hub.registry();
    for record in registry.list_configurations(name).await? {
        if record.metric_queries.is_empty() {
            continue;
        }
        if all || registry.metric_results(name, &record.id)?.is_none() {
            let connections = hub.live_connections();
            registry
                .evaluate_metrics(name, &record, &connections)
                .await?;
        }
    }
    Ok(())
}
