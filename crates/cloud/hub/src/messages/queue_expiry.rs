//! Ends cloud-to-device messages whose time has run out, and notifications that nobody read.
//!
//! Level-triggered: each pass starts from what is stored.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use crate::service::Hub;

/// How late a message may be ended. Receivers do not get it in between.
const PERIOD: Duration = Duration::from_secs(5);

pub(crate) async fn run(hub: &Hub, mut shutdown: watch::Receiver<bool>) {
    while !*shutdown.borrow() {
        match pass(hub).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => tracing::error!(
                error = &error as &dyn std::error::Error,
                "expired cloud-to-device messages were not ended"
            ),
        }
        // Cancel-safe: both arms only wait.
        tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => return,
            () = sleep(PERIOD) => {}
        }
    }
}

/// One bounded step; whether there is more to do.
async fn pass(hub: &Hub) -> Result<bool, registry::StorageError> {
    let now = hub.now();
    let notifications = hub.registry().expire_notifications(now).await;
    // The one does not wait for the other to succeed.
    let messages = hub.registry().expire_messages(now).await;
    notifications.and(messages)
}
