//! Hubs that live here, and the links of services to hubs here and elsewhere.

use std::sync::Arc;

use ids::{HubHost, HubName, Timestamp};
use store::{HubRow, LinkRow, Secret, Tx};

use super::acts::Act;
use super::init::{former_name, insert_hub, remember_host};
use super::rows::Rows;
use super::served;
use super::{MAX_HUBS, MAX_LINKED_HUBS, Registry};
use crate::error::StorageError;
use crate::service::{LinkDraft, LinkedHub, LocalHub, RemoteAccess, ServingError};

impl Registry {
    /// Adds a hub to this data directory, with policies of its own, linked to nobody yet.
    ///
    /// # Errors
    /// When its name or host is taken, there are too many, or the storage fails.
    pub async fn create_hub(
        &self,
        name: HubName,
        host: HubHost,
        now: Timestamp,
    ) -> Result<Arc<LocalHub>, ServingError> {
        let keeping = self.keeping();
        // Held to the end: a hub of a name is made and deleted together with its events.
        let _alone = self.inner.logs.alone().await;
        let is_taken = |hub: &Arc<LocalHub>| hub.name.as_str().eq_ignore_ascii_case(name.as_str());
        if !self.served().hubs.iter().any(is_taken) {
            self.inner.logs.forget(&name).await;
        }
        let target = format!("{name} at {host}");
        let create = move |tx: &Tx<'_>| {
            require_free(tx, &name, &host)?;
            let row = HubRow {
                name: name.to_string(),
                host: host.to_string(),
                remote: None,
            };
            insert_hub(tx, &row, &*keeping.entropy, now)?;
            tx.delete_former_host(&former_name(&host))?;
            keeping.follow(tx)?;
            let mut hubs = served::read(tx)?.hubs.into_iter();
            hubs.find(|hub| hub.name == name)
                .ok_or(ServingError::NoSuchHub(name))
        };
        self.act(Act::CreateHub, target, create).await
    }

    /// Deletes a hub of this data directory: one that no service is linked to and that has no devices.
    ///
    /// # Errors
    /// When there is none, it is in use, it is the first one, or the storage fails.
    pub async fn delete_hub(&self, name: &HubName, now: Timestamp) -> Result<(), ServingError> {
        let (keeping, name) = (self.keeping(), name.clone());
        let (target, deleted) = (name.to_string(), name.clone());
        let _alone = self.inner.logs.alone().await;
        let delete = move |tx: &Tx<'_>| {
            let hubs = served::read(tx)?.hubs;
            let found = hubs.iter().position(|hub| hub.name == name);
            let host = match found {
                None => return Err(ServingError::NoSuchHub(name)),
                Some(0) => return Err(ServingError::FirstHub(name)),
                Some(at) => hubs[at].host.clone(),
            };
            // Also one that is being unlinked in this very commit: until that is durable, devices are told of it.
            let services = &keeping.served.get().services;
            let was_linked = services.iter().any(|service| service.hub(&name).is_some());
            if was_linked || tx.is_hub_linked(name.as_str())? {
                return Err(ServingError::HubLinked(name));
            }
            if tx.has_devices(name.as_str())? {
                return Err(ServingError::HubInUse(name));
            }
            tx.delete_hub(name.as_str())?;
            tx.orphan_former_hosts(name.as_str())?;
            remember_host(tx, &host, None, now)?;
            Ok(keeping.follow(tx)?)
        };
        self.act(Act::DeleteHub, target, delete).await?;
        // Its events are its devices', and it has none. Another hub of this name is another hub.
        self.inner.logs.forget(&deleted).await;
        Ok(())
    }

    /// Links a hub to this service, or changes its link.
    ///
    /// # Errors
    /// When there is no such hub, its name is another's, there are too many, or the storage fails.
    pub async fn link_hub(
        &self,
        draft: LinkDraft,
        now: Timestamp,
    ) -> Result<LinkedHub, ServingError> {
        let (keeping, id_scope) = (self.keeping(), self.id_scope());
        let name = draft.name.clone();
        let link = move |tx: &Tx<'_>| {
            link(tx, &id_scope, draft, now)?;
            Ok::<_, ServingError>(keeping.follow(tx)?)
        };
        self.act(Act::LinkHub, &name, link).await?;
        let linked = self.service().hub(&name).cloned();
        // Somebody else may have unlinked it since.
        linked.ok_or(ServingError::NotLinked(name))
    }

    /// Takes a hub from this service. Registrations that point to it stay, and the next one of each device chooses again.
    ///
    /// # Errors
    /// When it is not linked, or the storage fails.
    pub async fn unlink_hub(&self, name: &HubName) -> Result<(), ServingError> {
        let (keeping, id_scope, name) = (self.keeping(), self.id_scope(), name.clone());
        let target = name.to_string();
        let unlink = move |tx: &Tx<'_>| {
            let link = find_link(tx, &id_scope, &name)?;
            let hub = link.ok_or(ServingError::NotLinked(name))?.hub;
            tx.delete_link(&id_scope, &hub.name)?;
            if hub.remote.is_some() {
                tx.delete_hub(&hub.name)?;
            }
            Ok(keeping.follow(tx)?)
        };
        self.act(Act::UnlinkHub, target, unlink).await
    }
}

fn require_free(tx: &Tx<'_>, name: &HubName, host: &HubHost) -> Result<(), ServingError> {
    let is_named = |hub: &HubRow| hub.name.eq_ignore_ascii_case(name.as_str());
    if tx.hubs()?.iter().any(is_named) {
        return Err(ServingError::HubExists(name.clone()));
    }
    let served = served::read(tx)?;
    if let Some(other) = served.hub_at(host) {
        return Err(ServingError::HubHostTaken {
            host: host.clone(),
            other: other.name.clone(),
        });
    }
    match served.hubs.len() {
        MAX_HUBS.. => Err(ServingError::TooMany {
            what: "hubs",
            limit: MAX_HUBS,
        }),
        _ => Ok(()),
    }
}

fn find_link(tx: &Tx<'_>, id_scope: &str, name: &HubName) -> Result<Option<LinkRow>, StorageError> {
    let mut links = tx.linked_hubs(id_scope)?.into_iter();
    Ok(links.find(|link| link.hub.name == name.as_str()))
}

fn link(tx: &Tx<'_>, id_scope: &str, draft: LinkDraft, now: Timestamp) -> Result<(), ServingError> {
    let mut link = match find_link(tx, id_scope, &draft.name)? {
        Some(link) => changed(tx, link, draft.remote)?,
        None => LinkRow {
            hub: to_be_linked(tx, id_scope, &draft.name, draft.remote, now)?,
            allocation_weight: None,
            apply_allocation_policy: true,
            latencies: None,
        },
    };
    if let Some(weight) = draft.allocation_weight {
        link.allocation_weight = Some(weight.get());
    }
    if let Some(latencies) = &draft.latencies {
        let rows = Rows { file: tx.file() };
        let text =
            serde_json::to_string(latencies).map_err(|error| rows.damaged("latencies", error))?;
        link.latencies = (!latencies.is_empty()).then_some(text);
    }
    if let Some(apply) = draft.apply_allocation_policy {
        link.apply_allocation_policy = apply;
    }
    Ok(tx.put_link(id_scope, &link)?)
}

type Remote = Option<(HubHost, RemoteAccess)>;

fn remote_row(name: &HubName, remote: (HubHost, RemoteAccess)) -> HubRow {
    let (host, access) = remote;
    HubRow {
        name: name.to_string(),
        host: host.to_string(),
        remote: Some((access.policy, Secret::new(access.key.reveal()))),
    }
}

/// A link that is there. A remote hub may have moved, or got another key.
fn changed(tx: &Tx<'_>, mut link: LinkRow, remote: Remote) -> Result<LinkRow, ServingError> {
    let Some(remote) = remote else {
        return Ok(link);
    };
    let name = HubName::parse(&link.hub.name);
    let name = Rows { file: tx.file() }.id("hub", name)?;
    if link.hub.remote.is_none() {
        return Err(ServingError::HubExists(name));
    }
    link.hub = remote_row(&name, remote);
    tx.update_hub(&link.hub)?;
    Ok(link)
}

/// The hub of a new link: one that lives here, or one elsewhere that is heard of for the first time.
fn to_be_linked(
    tx: &Tx<'_>,
    id_scope: &str,
    name: &HubName,
    remote: Remote,
    now: Timestamp,
) -> Result<HubRow, ServingError> {
    if tx.linked_hubs(id_scope)?.len() >= MAX_LINKED_HUBS {
        return Err(ServingError::TooMany {
            what: "linked hubs",
            limit: MAX_LINKED_HUBS,
        });
    }
    let mut hubs = tx.hubs()?.into_iter();
    let named = hubs.find(|hub| hub.name.eq_ignore_ascii_case(name.as_str()));
    match (named, remote) {
        (Some(hub), None) if hub.remote.is_none() && hub.name == name.as_str() => Ok(hub),
        (_, None) => Err(ServingError::NoSuchHub(name.clone())),
        (Some(_), Some(_)) => Err(ServingError::HubExists(name.clone())),
        (None, Some(remote)) => {
            let row = remote_row(name, remote);
            tx.insert_hub(&row, now.ticks())?;
            Ok(row)
        }
    }
}
