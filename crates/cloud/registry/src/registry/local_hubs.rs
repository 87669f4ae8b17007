//! The hubs that live here: read from the store, and kept in memory as of the last commit.

use std::sync::{Arc, PoisonError, RwLock};

use store::{FormerHostRow, PolicyOwner, StoreError, Tx, View};

use crate::error::StorageError;
use crate::hub::{FormerHost, LocalHub, LocalHubs};
use crate::policy::read_policies;

/// The hubs as of the last commit.
pub(super) struct LocalHubsNow(RwLock<Arc<LocalHubs>>);

impl LocalHubsNow {
    pub(super) fn new(hubs: LocalHubs) -> Self {
        Self(RwLock::new(Arc::new(hubs)))
    }

    pub(super) fn get(&self) -> Arc<LocalHubs> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Takes over what `tx` sees once it is durable, before anybody is answered.
    pub(super) fn follow(self: &Arc<Self>, tx: &Tx<'_>) -> Result<(), StoreError> {
        let (fresh, now) = (Arc::new(read(tx)?), self.clone());
        tx.after_commit(move || {
            *now.0.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        });
        Ok(())
    }
}

/// Reads all hubs that live here.
pub(super) fn read(view: &View<'_>) -> Result<LocalHubs, StorageError> {
    let local = view.hubs()?.into_iter().filter(|row| row.remote.is_none());
    let hubs = local
        .map(|row| {
            Ok(Arc::new(LocalHub {
                policies: read_policies(view, PolicyOwner::Hub(&row.name))?,
                name: row.name,
                host: row.host,
            }))
        })
        .collect::<Result<_, StorageError>>()?;
    Ok(LocalHubs {
        hubs,
        former_hosts: read_former_hosts(view)?,
    })
}

/// Host names that hubs had and no hub has now.
pub fn read_former_hosts(view: &View<'_>) -> Result<Vec<FormerHost>, StorageError> {
    let former = view.former_hosts()?.into_iter();
    let former = former.map(|FormerHostRow { host, hub }| FormerHost { host, hub });
    Ok(former.collect())
}
