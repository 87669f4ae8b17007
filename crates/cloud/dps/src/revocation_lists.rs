//! Revocation lists of other CAs: fetched, and their age watched.

mod age;
pub mod fetch;
pub mod verify;

pub use age::update_gauges;

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use crate::service::Dps;

/// Time between two looks at what is due.
const PERIOD: Duration = Duration::from_secs(15);

/// Fetches the lists that are due and warns of those that grow too old, until `shutdown` turns
/// true. Level-triggered: each round reads what is stored.
pub async fn run(dps: &Dps, mut shutdown: watch::Receiver<bool>) {
    let mut ages = age::Ages::default();
    while !*shutdown.borrow() {
        // Both arms are cancel-safe: a fetch that is dropped stores nothing.
        tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => return,
            () = fetch::fetch_due(dps) => {}
        }
        ages.warn(dps);
        tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => return,
            () = sleep(PERIOD) => {}
        }
    }
}
