//! Sessions end when a certificate that opened them is revoked.

use std::cell::Cell;
use std::error::Error;
use std::time::Duration;

use ids::{Identity, error_chain};
use registry::StorageError;
use registry::revocation::{CertificateKey, NotInForce};
use tokio::sync::watch;
use tokio::task::JoinError;
use tokio::time::sleep;
use transport::Close;

use crate::service::Hub;

/// Time until sessions are compared again that could not be.
const PAUSE: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
enum NotCompared {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("the comparison failed")]
    Failed(#[from] JoinError),
}

/// Ends sessions after each change of what is revoked, until `shutdown` turns true.
pub(crate) async fn run(hub: &Hub, shutdown: watch::Receiver<bool>) {
    let mut changes = hub.revocation_changes();
    // Devices may have connected before.
    changes.mark_changed();
    let compare = || {
        let looking = hub.clone();
        async move {
            // With long lists and many sessions it takes its time.
            tokio::task::spawn_blocking(move || end_revoked(&looking)).await??;
            Ok::<_, NotCompared>(())
        }
    };
    repeat(changes, shutdown, compare).await;
}

/// Compares after each change, and again after a pause when that failed.
async fn repeat<T, E: Error + 'static, F: Future<Output = Result<(), E>>>(
    mut changes: watch::Receiver<T>,
    mut shutdown: watch::Receiver<bool>,
    compare: impl Fn() -> F,
) {
    let mut failing = false;
    loop {
        // All arms are cancel-safe.
        tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => return,
            changed = changes.changed() => if changed.is_err() { return },
            () = sleep(PAUSE), if failing => {}
        }
        let compared = compare().await;
        match (&compared, failing) {
            (Err(error), false) => tracing::error!(
                error = error_chain(error),
                "not all sessions were compared with what is revoked; they are again until they are"
            ),
            (Ok(()), true) => tracing::info!("all sessions are compared with what is revoked"),
            (Err(_), true) | (Ok(()), false) => {}
        }
        failing = compared.is_err();
    }
}

/// Ends those that can be compared, also when others cannot.
fn end_revoked(hub: &Hub) -> Result<(), StorageError> {
    let (registry, now) = (hub.registry(), hub.now());
    if !registry.revocations().is_in_use() {
        return Ok(());
    }
    let failed = Cell::new(Ok(()));
    let revoked = |identity: &Identity, certificates: &[CertificateKey]| {
        let certificates = certificates.iter().copied();
        match registry.not_in_force_at_hub(&identity.hub, certificates, now) {
            Ok(Some(reason @ NotInForce::Revoked(_))) => Some(reason),
            // A list that is too old keeps clients out, and ends no session.
            Ok(Some(NotInForce::Stale(_)) | None) => None,
            Err(error) => {
                failed.set(Err(error));
                None
            }
        }
    };
    for (identity, number, reason) in hub.session_certificates().find(revoked) {
        let close = Close::new(reason.code(), reason.to_string());
        hub.sessions().close_numbered(&identity, number, close);
    }
    failed.into_inner()
}

#[cfg(test)]
mod tests {
    use std::future::ready;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_could_not_be_compared_is_compared_again() {
        let (change, mut changes) = watch::channel(());
        changes.mark_changed();
        let (_stop, stopping) = watch::channel(false);
        let looks = Arc::new(AtomicUsize::new(0));
        let counted = looks.clone();
        let compare = move || {
            ready(match counted.fetch_add(1, Relaxed) {
                0 | 1 => Err(std::fmt::Error),
                _ => Ok(()),
            })
        };
        let task = tokio::spawn(repeat(changes, stopping, compare));
        sleep(PAUSE * 10).await;
        assert_eq!(looks.load(Relaxed), 3, "until it succeeds");
        change.send_replace(());
        sleep(PAUSE * 10).await;
        assert_eq!(looks.load(Relaxed), 4, "once for a change");
        task.abort();
    }
}
