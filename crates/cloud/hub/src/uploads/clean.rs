//! Ends uploads whose time is over, and deletes what is on its way of those that have ended.
//!
//! Level-triggered: each pass starts from what is stored.

use std::ffi::OsStr;
use std::io;
use std::time::Duration;

use registry::UploadError;
use tokio::fs;
use tokio::sync::watch;
use tokio::time::sleep;

use super::part::is_part;
use super::{Uploads, is_absent, names_in};
use crate::service::Hub;

const PERIOD: Duration = Duration::from_secs(60);

pub(crate) async fn run(hub: &Hub, mut shutdown: watch::Receiver<bool>) {
    if let Err(error) = hub.uploads().delete_old_parts().await {
        log_failure(&error);
    }
    while !*shutdown.borrow() {
        if let Err(error) = pass(hub).await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "uploads of devices were not ended"
            );
        }
        // Cancel-safe: both arms only wait.
        tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => return,
            () = sleep(PERIOD) => {}
        }
    }
}

async fn pass(hub: &Hub) -> Result<(), UploadError> {
    let now = hub.now();
    loop {
        let ended = hub.registry().expire_uploads(now).await?;
        if ended == 0 {
            break;
        }
        tracing::info!(uploads = ended, "devices did not end uploads in time");
    }
    let cleaned = async {
        let uploads = hub.uploads();
        // Also those whose device was deleted.
        for correlation_id in names_in(&uploads.incoming()).await? {
            let open = hub.registry().file_upload(&correlation_id, now);
            if matches!(open, Err(UploadError::Unknown)) {
                uploads.forget(&correlation_id).await?;
            }
        }
        Ok::<_, io::Error>(())
    };
    if let Err(error) = cleaned.await {
        log_failure(&error);
    }
    Ok(())
}

fn log_failure(error: &io::Error) {
    tracing::error!(
        error = error as &dyn std::error::Error,
        "unfinished parts of uploaded files were not deleted"
    );
}

impl Uploads {
    /// Deletes what a process before this one had not completed.
    async fn delete_old_parts(&self) -> io::Result<()> {
        for upload in names_in(&self.incoming()).await? {
            let folder = self.incoming().join(upload);
            for name in names_in(&folder).await? {
                if is_part(OsStr::new(&name)) && !name.starts_with(&self.process) {
                    match fs::remove_file(folder.join(&name)).await {
                        Err(error) if !is_absent(&error) => return Err(error),
                        _ => {}
                    }
                }
            }
        }
        Ok(())
    }
}
