//! Forgets events after their time, also of hubs to which no new ones come.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use crate::Hub;

/// How often it is looked for what is too old.
const PERIOD: Duration = Duration::from_secs(60);

/// Runs until `shutdown` turns true.
pub(crate) async fn run(hub: &Hub, mut shutdown: watch::Receiver<bool>) {
    while !*shutdown.borrow() {
        hub.registry().expire_telemetry(hub.now()).await;
        // Both arms are cancel-safe: they only wait.
        tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => return,
            () = sleep(PERIOD) => {}
        }
    }
}
