//! Keeps devices up to date with the configurations that target them: a thin loop
//! around the registry's evaluation.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use crate::service::Hub;

/// Devices without a reported change are examined this often.
const PERIOD: Duration = Duration::from_secs(30);

/// Evaluates after every change that targeting depends on, and every 30 s,
/// until `shutdown` turns true.
///
/// Level-triggered: each pass starts from what is stored, so that a lost or repeated
/// wake-up does no harm.
pub(crate) async fn run(hub: &Hub, mut shutdown: watch::Receiver<bool>) {
    let mut targeting = hub.targeting();
    while !*shutdown.borrow() {
        // Before the pass: a change during it must wake the next one.
        targeting.mark_unchanged();
        if pass(hub).await {
            continue;
        }
        // Cancel-safe: all arms only wait.
        tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => return,
            _ = targeting.changed() => {}
            () = sleep(PERIOD) => {}
        }
    }
}

/// One bounded step for every hub; whether there is more to do.
async fn pass(hub: &Hub) -> bool {
    let mut more = false;
    for local in &hub.registry().hubs().hubs {
        match hub
            .registry()
            .evaluate_configurations(&local.name, hub.now())
            .await
        {
            Ok(pass) => {
                more |= pass.more;
                let changed = pass.changed as u64;
                metrics::counter!("muster_hub_configured_twins_total").increment(changed);
                if pass.changed > 0 {
                    tracing::info!(
                        hub.name = %local.name,
                        devices.changed = pass.changed,
                        devices.examined = pass.examined,
                        "configurations applied"
                    );
                }
            }
            Err(error) => {
                tracing::error!(
                    hub.name = %local.name,
                    error = &error as &dyn std::error::Error,
                    "configurations were not evaluated"
                );
            }
        }
    }
    more
}
