use std::future::pending;

use tokio::sync::oneshot;
use tokio::time::sleep;

use super::{EvictionCause, LINGERS, TrackedConnection};

/// Tells a connection when it is evicted.
#[derive(Debug)]
pub struct EvictionNotice {
    evicted: oneshot::Receiver<EvictionCause>,
    connection: TrackedConnection,
}

impl EvictionNotice {
    pub(super) fn new(
        evicted: oneshot::Receiver<EvictionCause>,
        connection: TrackedConnection,
    ) -> Self {
        Self {
            evicted,
            connection,
        }
    }

    /// Resolves when the connection is evicted; never for one that is proven.
    pub async fn evicted(self) -> EvictionCause {
        let Self {
            mut evicted,
            connection,
        } = self;
        // Boxed: it is dropped when the client has proved itself.
        let lingering = Box::pin(async {
            sleep(LINGERS).await;
            connection.mark_lingering();
            pending::<()>().await;
        });
        // Cancel-safe: neither is waited for again.
        let cause = tokio::select! {
            cause = &mut evicted => cause.ok(),
            () = lingering => None,
        };
        drop(connection);
        match cause {
            Some(cause) => cause,
            // The sender is gone because the connection is proven.
            None => pending().await,
        }
    }
}
