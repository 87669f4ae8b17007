//! The links of a service to the hubs that it assigns devices to.

use ids::{HubHost, HubName, Timestamp};
use registry::{Rows, StorageError};
use store::{HubRow, LinkRow, Secret, Tx};

use super::Provisioning;
use super::act::Act;
use crate::limits::MAX_LINKED_HUBS;
use crate::service::{LinkDraft, LinkedHub, RemoteAccess, ServingError};

impl Provisioning {
    /// Links a hub to this service, or changes its link.
    ///
    /// # Errors
    /// When there is no such hub, its name is another's, there are too many, or the storage fails.
    pub async fn link_hub(
        &self,
        draft: LinkDraft,
        now: Timestamp,
    ) -> Result<LinkedHub, ServingError> {
        let (follower, id_scope) = (self.service_follower(), self.id_scope());
        let name = draft.name.clone();
        let link = move |tx: &Tx<'_>| {
            link(tx, &id_scope, draft, now)?;
            Ok::<_, ServingError>(follower.follow(tx)?)
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
        let (follower, id_scope, name) = (self.service_follower(), self.id_scope(), name.clone());
        let target = name.to_string();
        let unlink = move |tx: &Tx<'_>| {
            let link = find_link(tx, &id_scope, &name)?;
            let hub = link.ok_or(ServingError::NotLinked(name))?.hub;
            tx.delete_link(&id_scope, &hub.name)?;
            if hub.remote.is_some() {
                tx.delete_hub(&hub.name)?;
            }
            Ok(follower.follow(tx)?)
        };
        self.act(Act::UnlinkHub, target, unlink).await
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
