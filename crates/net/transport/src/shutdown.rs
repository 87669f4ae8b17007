//! The signal that the program stops: a watch channel that turns true once.

use tokio::sync::watch;

/// Returns once the program is to stop. Cancel-safe.
pub async fn requested(stopping: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, which is a stop as well.
    let _ = stopping.wait_for(|stop| *stop).await;
}
