use std::sync::{Arc, PoisonError, RwLock};

use store::Tx;

use crate::change::{Change, Watcher};

/// Everyone who wants to hear of changes.
#[derive(Default)]
pub struct Watchers(RwLock<Vec<Arc<dyn Watcher>>>);

impl Watchers {
    pub(super) fn add(&self, watcher: Arc<dyn Watcher>) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(watcher);
    }

    /// Tells everyone once the transaction is durable.
    pub fn tell(self: &Arc<Self>, tx: &Tx<'_>, change: Change) {
        let watchers = self.clone();
        tx.after_commit(move || {
            let all = watchers
                .0
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            all.iter().for_each(|watcher| watcher.changed(&change));
        });
    }
}
