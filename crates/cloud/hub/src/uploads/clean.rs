//! Ends uploads whose time is over, and deletes what is on its way of those that have ended.
//!
//! Level-triggered: each pass starts from what is stored. What cannot be ended or deleted is logged
//! and stops nothing else.

use std::collections::BTreeSet;
use std::error::Error;
use std::ffi::OsStr;
use std::io;
use std::time::Duration;

use tokio::fs;
use tokio::sync::watch;
use tokio::time::sleep;

use super::part::is_part;
use super::{INCOMING, Uploads, is_absent, names_in};
use crate::service::Hub;

const PERIOD: Duration = Duration::from_secs(60);

pub(crate) async fn run(hub: &Hub, mut shutdown: watch::Receiver<bool>) {
    hub.uploads().delete_old_parts().await;
    while !*shutdown.borrow() {
        expire(hub).await;
        clean(hub).await;
        // Cancel-safe: both arms only wait.
        tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => return,
            () = sleep(PERIOD) => {}
        }
    }
}

async fn expire(hub: &Hub) {
    let now = hub.now();
    loop {
        match hub.registry().expire_uploads(now).await {
            Ok(0) => return,
            Ok(ended) => tracing::info!(uploads = ended, "devices did not end uploads in time"),
            Err(error) => {
                let error = &error as &dyn Error;
                tracing::error!(error, "uploads of devices were not ended");
                return;
            }
        }
    }
}

/// Deletes what is on its way of uploads that have ended, also of devices that were deleted.
async fn clean(hub: &Hub) {
    let (uploads, now) = (hub.uploads(), hub.now());
    for correlation_id in uploads.on_the_way().await {
        match hub.registry().upload_has_ended(&correlation_id, now) {
            Ok(true) => {
                let turn = uploads.turn(&correlation_id).await;
                let deleted = uploads.forget(&correlation_id, turn).await;
                log_failure(&correlation_id, deleted);
            }
            Ok(false) => {}
            Err(error) => {
                let error = &error as &dyn Error;
                tracing::error!(upload = correlation_id, error, "an upload cannot be read");
            }
        }
    }
}

fn log_failure(entry: &str, deleted: io::Result<()>) {
    if let Err(error) = deleted {
        let error = &error as &dyn Error;
        tracing::error!(
            entry,
            error,
            "unfinished parts of uploaded files were not deleted"
        );
    }
}

impl Uploads {
    /// Correlation ids of what is on its way, and of what this process knows of.
    async fn on_the_way(&self) -> BTreeSet<String> {
        let mut all = BTreeSet::from_iter(self.open.ids());
        match names_in(&self.incoming()).await {
            Ok(names) => all.extend(names),
            Err(error) => log_failure(INCOMING, Err(error)),
        }
        all
    }

    /// Deletes what a process before this one had not completed.
    async fn delete_old_parts(&self) {
        for upload in self.on_the_way().await {
            let folder = self.incoming().join(&upload);
            let names = match names_in(&folder).await {
                Ok(names) => names,
                Err(error) => {
                    log_failure(&upload, Err(error));
                    continue;
                }
            };
            for name in names {
                if is_part(OsStr::new(&name)) && !name.starts_with(&self.process) {
                    match fs::remove_file(folder.join(&name)).await {
                        Err(error) if !is_absent(&error) => log_failure(&upload, Err(error)),
                        _ => {}
                    }
                }
            }
        }
    }
}
