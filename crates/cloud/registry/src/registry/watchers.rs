use std::sync::{Arc, PoisonError, RwLock};

use ids::HubName;
use store::Tx;
use wire::telemetry::EventSource;

use super::routing::RoutingNow;
use crate::change::{Change, Watcher};

/// Everyone who wants to hear of changes.
pub struct Watchers {
    watchers: RwLock<Vec<Arc<dyn Watcher>>>,
    /// Says which events of the hubs themselves are wanted.
    routing: Arc<RoutingNow>,
}

impl Watchers {
    pub(super) fn new(routing: Arc<RoutingNow>) -> Self {
        Self {
            watchers: RwLock::default(),
            routing,
        }
    }

    /// Whether a route of a hub wants events of this source, as of the last commit.
    pub(super) fn wants(&self, hub: &HubName, source: EventSource) -> bool {
        self.routing.wants(hub, source)
    }

    pub(super) fn add(&self, watcher: Arc<dyn Watcher>) {
        self.watchers
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(watcher);
    }

    /// Tells everyone once the transaction is durable.
    pub fn tell(self: &Arc<Self>, tx: &Tx<'_>, change: Change) {
        let watchers = self.clone();
        tx.after_commit(move || {
            let all = watchers
                .watchers
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            all.iter().for_each(|watcher| watcher.changed(&change));
        });
    }
}
