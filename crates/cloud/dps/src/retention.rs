//! Deletes what is as old as it is kept, also when nothing new comes.

use std::time::Duration;

use registry::StorageError;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::service::Dps;

const PERIOD: Duration = Duration::from_secs(3600);

/// Runs until `shutdown` turns true.
pub(crate) async fn run(dps: &Dps, mut shutdown: watch::Receiver<bool>) {
    while !*shutdown.borrow() {
        // Those of all services.
        let provisioning = &dps.tenants().first().context.provisioning;
        let refusals = provisioning.expire_refusals(dps.now()).await;
        log("refusals", refusals);
        let certificates = provisioning.prune_issued(dps.now()).await;
        log("expired certificates", certificates);
        tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => return,
            () = sleep(PERIOD) => {}
        }
    }
}

fn log(what: &str, deleted: Result<usize, StorageError>) {
    match deleted {
        Ok(0) => {}
        Ok(deleted) => tracing::info!("{deleted} {what} were as old as they are kept"),
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, "old {what} were not deleted");
        }
    }
}
