//! Deletes events after their retention, also of hubs that get no new ones.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use crate::service::Hub;

const PERIOD: Duration = Duration::from_secs(60);

pub(crate) async fn run(hub: &Hub, mut shutdown: watch::Receiver<bool>) {
    while !*shutdown.borrow() {
        hub.registry().expire_telemetry(hub.now()).await;
        // Cancel-safe: both arms only wait.
        tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => return,
            () = sleep(PERIOD) => {}
        }
    }
}
