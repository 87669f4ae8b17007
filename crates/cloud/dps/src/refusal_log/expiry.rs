//! Deletes refusals after their time, also when no new one comes.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use crate::service::Dps;

const PERIOD: Duration = Duration::from_secs(3600);

/// Runs until `shutdown` turns true.
pub(crate) async fn run(dps: &Dps, mut shutdown: watch::Receiver<bool>) {
    while !*shutdown.borrow() {
        match dps
            .tenants()
            .first()
            .context
            .provisioning
            .expire_refusals(dps.now())
            .await
        {
            Ok(0) => {}
            Ok(expired) => tracing::info!("{expired} refusals were as old as they are kept"),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "old refusals were not deleted");
            }
        }
        tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => return,
            () = sleep(PERIOD) => {}
        }
    }
}
