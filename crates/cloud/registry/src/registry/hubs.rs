//! Creating and deleting hubs that live here.

use std::sync::Arc;

use ids::{HubHost, HubName, Timestamp};
use store::{HubRow, Tx};

use super::act::Act;
use super::init::{former_name, insert_hub, remember_host};
use super::{Registry, local_hubs};
use crate::change::Change;
use crate::error::StorageError;
use crate::hub::{HubError, LocalHub};
use crate::limits::MAX_HUBS;

impl Registry {
    /// Adds a hub to this data directory, with policies of its own. No provisioning service is linked to it.
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
        F: FnOnce(&Tx<'_>) -> Result<(), StorageError> + Send + 'static,
    {
        // Held to the end: a hub of a name is made and deleted together with its events.
        let _alone = self.inner.logs.alone().await;
        let is_taken = |hub: &Arc<LocalHub>| hub.name.as_str().eq_ignore_ascii_case(name.as_str());
        if !self.hubs().hubs.iter().any(is_taken) {
            self.inner.logs.forget(&name).await;
        }
        let (hubs, watchers) = (self.inner.hubs.clone(), self.inner.watchers.clone());
        let entropy = self.inner.entropy.clone();
        let target = format!("{name} at {host}");
        let create = move |tx: &Tx<'_>| {
            require_free(tx, &name, &host)?;
            let row = HubRow {
                name: name.to_string(),
                host: host.to_string(),
                remote: None,
            };
            insert_hub(tx, &row, &*entropy, now)?;
            tx.delete_former_host(&former_name(&host))?;
            hubs.follow(tx)?;
            also(tx)?;
            watchers.tell(tx, Change::ServicesOrHubs);
            let created = local_hubs::read(tx)?;
            let created = created.named(&name).cloned();
            created.ok_or(HubError::NotFound(name))
        };
        self.act(Act::CreateHub, target, create).await
    }

    /// Deletes a hub of this data directory: one that no service is linked to and that has no devices.
    pub async fn delete_hub(&self, name: &HubName, now: Timestamp) -> Result<(), HubError> {
        self.delete_hub_with(name, now, |_| false, |_| Ok(())).await
    }

    /// The same. `is_linked` says whether a service is linked to the hub as of the last commit; `also` runs at the end of the
    /// transaction.
    pub async fn delete_hub_with<L, F>(
        &self,
        name: &HubName,
        now: Timestamp,
        is_linked: L,
        also: F,
    ) -> Result<(), HubError>
    where
        L: FnOnce(&HubName) -> bool + Send + 'static,
        F: FnOnce(&Tx<'_>) -> Result<(), StorageError> + Send + 'static,
    {
        let name = name.clone();
        let (target, deleted) = (name.to_string(), name.clone());
        let (local, watchers) = (self.inner.hubs.clone(), self.inner.watchers.clone());
        let _alone = self.inner.logs.alone().await;
        let delete = move |tx: &Tx<'_>| {
            let hubs = local_hubs::read(tx)?.hubs;
            let found = hubs.iter().position(|hub| hub.name == name);
            let host = match found {
                None => return Err(HubError::NotFound(name)),
                Some(0) => return Err(HubError::First(name)),
                Some(at) => hubs[at].host.clone(),
            };
            // Also one that is being unlinked in this very commit: until that is durable, devices are assigned to it.
            if is_linked(&name) || tx.is_hub_linked(name.as_str())? {
                return Err(HubError::Linked(name));
            }
            if tx.has_devices(name.as_str())? {
                return Err(HubError::HasDevices(name));
            }
            tx.delete_hub(name.as_str())?;
            tx.orphan_former_hosts(name.as_str())?;
            remember_host(tx, &host, None, now)?;
            local.follow(tx)?;
            also(tx)?;
            watchers.tell(tx, Change::ServicesOrHubs);
            Ok(())
        };
        self.act(Act::DeleteHub, target, delete).await?;
        // Its events are its devices', and it has none. Another hub of this name is another hub.
        self.inner.logs.forget(&deleted).await;
        Ok(())
    }
}

fn require_free(tx: &Tx<'_>, name: &HubName, host: &HubHost) -> Result<(), HubError> {
    let is_named = |hub: &HubRow| hub.name.eq_ignore_ascii_case(name.as_str());
    if tx.hubs()?.iter().any(is_named) {
        return Err(HubError::Exists(name.clone()));
    }
    let local = local_hubs::read(tx)?;
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
