//! Where the readers of a hub's event log are: endpoints and consumer groups.

use ids::HubName;
use store::{Lock, StoreError, Tx, Unit, View};

use super::AuditedStore;
use super::logs::HubLogs;
use crate::error::StorageError;

/// The rows that can be read; the others are logged.
pub(super) fn kept<T>(
    rows: Vec<Result<T, StoreError>>,
    hub: &HubName,
    what: &'static str,
) -> Vec<T> {
    let kept = |row: Result<T, StoreError>| {
        row.inspect_err(|error| {
            tracing::error!(
                hub.name = %hub,
                error = error as &dyn std::error::Error,
                "{what} is damaged and left out; write it again"
            );
        })
        .ok()
    };
    rows.into_iter().filter_map(kept).collect()
}

/// Takes readers that are further than the log of their hub to its end. They are when the log was
/// restored from an older copy than the database; they would miss the events until it has grown
/// as far again.
pub(super) async fn rewind(
    store: &AuditedStore,
    logs: &HubLogs,
    hubs: &[HubName],
) -> Result<(), StorageError> {
    for hub in hubs {
        let last = logs.opened(hub).map_or(0, |log| log.last());
        let ahead =
            store.read(|view| Ok::<_, StorageError>(view.readers_ahead(hub.as_str(), last)?))?;
        if ahead == 0 {
            continue;
        }
        tracing::warn!(
            hub.name = %hub,
            last,
            readers = ahead,
            "endpoints or consumer groups were further than the event log, as after a restore of \
             older data; they go on with the next event"
        );
        let hub = hub.clone();
        store.write_without_act(Rewind { hub, last }).await?;
    }
    Ok(())
}

struct Rewind {
    hub: HubName,
    /// The newest event of the log.
    last: u64,
}

impl Unit for Rewind {
    type Plan = ();
    type Output = ();
    type Error = StorageError;

    fn locks(&self) -> Vec<Lock<'_>> {
        let hub = self.hub.as_str();
        vec![Lock::Hub { hub }]
    }

    fn decide(&self, _: &View<'_>) -> Result<(), StorageError> {
        Ok(())
    }

    fn apply(&self, tx: &Tx<'_>, (): ()) -> Result<(), StoreError> {
        tx.rewind_readers(self.hub.as_str(), self.last)
    }
}
