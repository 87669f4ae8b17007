//! Revocation lists of other CAs: fetched, and their age watched.

mod age;
pub mod fetch;
mod fetches;
pub mod gauges;
pub mod verify;

pub use age::update_gauges;

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use crate::service::Dps;

/// Time between two looks at what is due.
const PERIOD: Duration = Duration::from_secs(15);

/// Fetches the lists that are due and warns of those that grow too old, until `shutdown` turns
/// true. Level-triggered: each round reads what is stored, and waits for no fetch.
pub async fn run(dps: &Dps, mut shutdown: watch::Receiver<bool>) {
    let mut ages = age::Ages::default();
    let mut fetches = fetches::Fetches::default();
    while !*shutdown.borrow() {
        fetches.start_due(dps);
        // Both arms are cancel-safe. Fetches in progress end with this function; a list that the
        // writer has by then is stored nevertheless.
        tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => return,
            () = sleep(PERIOD) => {}
        }
        // After the first fetches: what they bring is not warned about.
        ages.warn(dps);
    }
}
