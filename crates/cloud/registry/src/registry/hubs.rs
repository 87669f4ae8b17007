//! Creating and deleting hubs that live here.

use std::sync::Arc;

use ids::{HubHost, HubName, Timestamp};
use store::{HubRow, Lock, StoreError, Tx, View, unit};

use super::act::Act;
use super::init::{insert_hub, new_hub_policies, remember_host};
use super::{Registry, local_hubs};
use crate::change::Change;
use crate::hub::{HubError, LocalHub};
use crate::limits::MAX_HUBS;

impl Registry {
    /// Adds a hub to this data directory, with policies of its own. No provisioning service
    /// is linked to it.
    pub async fn create_hub(
        &self,
        name: HubName,
        host: HubHost,
        now: Timestamp,
    ) -> Result<Arc<LocalHub>, HubError> {
        self.create_hub_with(name, host, now, |_| Ok(())).await
    }

    /// The same; `also` runs at the end of the transaction.
    pub async fn create_hub_with<F>(
        &self,
        name: HubName,
        host: HubHost,
        now: Timestamp,
        also: F,
    ) -> Result<Arc<LocalHub>, HubError>
    where
        F: Fn(&Tx<'_>) -> Result<(), StoreError> + Send + 'static,
    {
        // Held to the end: a hub of a name is made and deleted together with its events.
        let _alone = self.inner.logs.alone().await;
        let is_taken = |hub: &Arc<LocalHub>| hub.name.as_str().eq_ignore_ascii_case(name.as_str());
        if !self.hubs().hubs.iter().any(is_taken) {
            self.inner.logs.forget(&name).await;
        }
        let (hubs, watchers) = (self.inner.hubs.clone(), self.inner.watchers.clone());
        let policies = new_hub_policies(&*self.inner.entropy);
        let target = format!("{name} at {host}");
        let create = unit(
            (name, host),
            |_| vec![Lock::Directory],
            |(name, host), view| require_free(view, name, host),
            move |(name, host), tx, ()| {
                let row = HubRow {
                    name: name.clone(),
                    host: host.clone(),
                    remote: None,
                };
                insert_hub(tx, &row, &policies, now)?;
                tx.delete_former_host(host)?;
                hubs.follow(tx)?;
                also(tx)?;
                watchers.tell(tx, Change::ServicesOrHubs);
                let created = local_hubs::read(tx)?;
                let created = created.named(name).cloned();
                created.ok_or_else(|| tx.damaged("hub", "is not there after it was written"))
            },
        );
        self.act(Act::CreateHub, target, create).await
    }

    /// Deletes a hub of this data directory: one that no service is linked to and
    /// that has no devices, nor an import or export that has not ended.
    pub async fn delete_hub(&self, name: &HubName, now: Timestamp) -> Result<(), HubError> {
        self.delete_hub_with(name, now, |_| false, |_| Ok(())).await
    }

    /// The same. `is_linked` says whether a service is linked to the hub as of the last commit;
    /// `also` runs at the end of the transaction.
    pub async fn delete_hub_with<L, F>(
        &self,
        name: &HubName,
        now: Timestamp,
        is_linked: L,
        also: F,
    ) -> Result<(), HubError>
    where
        L: Fn(&HubName) -> bool + Send + 'static,
        F: Fn(&Tx<'_>) -> Result<(), StoreError> + Send + 'static,
    {
        let name = name.clone();
        let (target, deleted) = (name.to_string(), name.clone());
        let (local, watchers) = (self.inner.hubs.clone(), self.inner.watchers.clone());
        let routing = self.inner.routing.clone();
        let _alone = self.inner.logs.alone().await;
        let delete = unit(
            name,
            |_| vec![Lock::Directory],
            move |name, view| {
                // Also one that is being unlinked in this very commit: until that is durable,
                // devices are assigned to it.
                require_deletable(view, name, is_linked(name))
            },
            move |name, tx, host: HubHost| {
                tx.delete_hub(name)?;
                tx.orphan_former_hosts(name)?;
                remember_host(tx, &host, None, now)?;
                local.follow(tx)?;
                routing.forget(tx, name.clone());
                also(tx)?;
                watchers.tell(tx, Change::ServicesOrHubs);
                Ok(())
            },
        );
        self.act(Act::DeleteHub, target, delete).await?;
        // Its events and files are its devices', and it has none. Another hub of this name is another hub.
        self.inner.logs.forget(&deleted).await;
        Ok(())
    }
}

/// The host of a hub that may be deleted.
fn require_deletable(
    view: &View<'_>,
    name: &HubName,
    is_linked: bool,
) -> Result<HubHost, HubError> {
    let hubs = local_hubs::read(view)?.hubs;
    let host = match hubs.iter().position(|hub| hub.name == *name) {
        None => return Err(HubError::NotFound(name.clone())),
        Some(0) => return Err(HubError::First(name.clone())),
        Some(at) => hubs[at].host.clone(),
    };
    if is_linked || view.is_hub_linked(name)? {
        return Err(HubError::Linked(name.clone()));
    }
    if view.has_devices(name)? {
        return Err(HubError::HasDevices(name.clone()));
    }
    // One that runs writes devices into the hub, or files of it.
    match view.has_open_transfer(name)? {
        true => Err(HubError::HasTransfer(name.clone())),
        false => Ok(host),
    }
}

fn require_free(view: &View<'_>, name: &HubName, host: &HubHost) -> Result<(), HubError> {
    let is_named = |hub: &HubRow| hub.name.as_str().eq_ignore_ascii_case(name.as_str());
    if view.hubs()?.iter().any(is_named) {
        return Err(HubError::Exists(name.clone()));
    }
    let local = local_hubs::read(view)?;
    if let Some(other) = local.hub_at(host) {
        return Err(HubError::HostTaken {
            host: host.clone(),
            other: other.name.clone(),
        });
    }
    match local.hubs.len() {
        MAX_HUBS.. => Err(HubError::TooMany(MAX_HUBS)),
        _ => Ok(()),
    }
}
