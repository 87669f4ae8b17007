//! Ends cloud-to-device messages whose time has run out, and notifications that nobody read.
//!
//! Level-triggered: each pass starts from what is stored.

use std::time::Duration;

use registry::StorageError;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::service::Hub;

/// How late a message may be ended. Receivers do not get it in between.
const PERIOD: Duration = Duration::from_secs(5);

pub(crate) async fn run(hub: &Hub, mut shutdown: watch::Receiver<bool>) {
    while !*shutdown.borrow() {
        if pass(hub).await {
            continue;
        }
        // Cancel-safe: both arms only wait.
        tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => return,
            () = sleep(PERIOD) => {}
        }
    }
}

/// One bounded step; whether there is more to do. The one does not wait for the other to succeed.
async fn pass(hub: &Hub) -> bool {
    let now = hub.now();
    let notifications = hub
        .registry()
        .expire_notifications(now)
        .await
        .map(|()| false);
    let messages = hub.registry().expire_messages(now).await;
    let more = |expired: Result<bool, StorageError>, what: &'static str| {
        expired.unwrap_or_else(|error| {
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, "expired {what} were not ended");
            false
        })
    };
    more(notifications, "notifications") | more(messages, "cloud-to-device messages")
}
