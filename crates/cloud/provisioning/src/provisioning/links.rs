//! The links of a service to the hubs that it assigns devices to.

use ids::{HubHost, HubName, Timestamp};
use store::{HubRow, LinkRow, Lock, RemoteAccessRow, Secret, StoreError, View, unit};

use super::Provisioning;
use super::act::Act;
use crate::limits::MAX_LINKED_HUBS;
use crate::service::{LinkDraft, LinkedHub, RemoteAccess, ServiceSetupError};

impl Provisioning {
    /// Links a hub to this service, or changes its link.
    ///
    /// # Errors
    /// When there is no such hub, its name is another's, there are too many, or the storage fails.
    pub async fn link_hub(
        &self,
        draft: LinkDraft,
        now: Timestamp,
    ) -> Result<LinkedHub, ServiceSetupError> {
        let (follower, id_scope) = (self.service_follower(), self.id_scope());
        let name = draft.name.clone();
        let link = unit(
            (id_scope, draft),
            |_| vec![Lock::Directory],
            |(id_scope, draft), view| plan(view, id_scope, draft),
            move |(id_scope, _), tx, plan: LinkPlan| {
                match plan.hub {
                    HubChange::None => {}
                    HubChange::Insert => tx.insert_hub(&plan.link.hub, now.ticks())?,
                    HubChange::Update => tx.update_hub(&plan.link.hub)?,
                }
                tx.put_link(id_scope, &plan.link)?;
                follower.follow(tx)
            },
        );
        self.act(Act::LinkHub, &name, link).await?;
        let linked = self.service().hub(&name).cloned();
        // Somebody else may have unlinked it since.
        linked.ok_or(ServiceSetupError::NotLinked(name))
    }

    /// Takes a hub from this service. Registrations that point to it stay, and the next one of
    /// each device chooses again.
    pub async fn unlink_hub(&self, name: &HubName) -> Result<(), ServiceSetupError> {
        let (follower, id_scope, name) = (self.service_follower(), self.id_scope(), name.clone());
        let target = name.to_string();
        let unlink = unit(
            (id_scope, name),
            |_| vec![Lock::Directory],
            |(id_scope, name), view| {
                let link = find_link(view, id_scope, name)?;
                let link = link.ok_or_else(|| ServiceSetupError::NotLinked(name.clone()))?;
                Ok::<_, ServiceSetupError>(link.hub)
            },
            move |(id_scope, _), tx, hub: HubRow| {
                tx.delete_link(id_scope, &hub.name)?;
                if hub.remote.is_some() {
                    tx.delete_hub(&hub.name)?;
                }
                follower.follow(tx)
            },
        );
        self.act(Act::UnlinkHub, target, unlink).await
    }
}

fn find_link(
    view: &View<'_>,
    id_scope: &str,
    name: &HubName,
) -> Result<Option<LinkRow>, StoreError> {
    let mut links = view.linked_hubs(id_scope)?.into_iter();
    Ok(links.find(|link| link.hub.name == *name))
}

/// What a new or changed link comes to.
struct LinkPlan {
    link: LinkRow,
    hub: HubChange,
}

/// What is written of the hub itself.
enum HubChange {
    None,
    Insert,
    Update,
}

fn plan(view: &View<'_>, id_scope: &str, draft: &LinkDraft) -> Result<LinkPlan, ServiceSetupError> {
    let remote = draft.remote.clone();
    let (mut link, hub) = match find_link(view, id_scope, &draft.name)? {
        Some(link) => changed(link, remote)?,
        None => {
            let (hub, change) = to_be_linked(view, id_scope, &draft.name, remote)?;
            let link = LinkRow {
                hub,
                allocation_weight: None,
                apply_allocation_policy: true,
                latencies: None,
            };
            (link, change)
        }
    };
    if let Some(weight) = draft.allocation_weight {
        link.allocation_weight = Some(weight.get());
    }
    if let Some(latencies) = &draft.latencies {
        let text = serde_json::to_string(latencies);
        let text = text.map_err(|error| view.damaged("latencies", error))?;
        link.latencies = (!latencies.is_empty()).then_some(text);
    }
    if let Some(apply) = draft.apply_allocation_policy {
        link.apply_allocation_policy = apply;
    }
    Ok(LinkPlan { link, hub })
}

type Remote = Option<(HubHost, RemoteAccess)>;

fn remote_row(name: &HubName, remote: (HubHost, RemoteAccess)) -> HubRow {
    let (host, access) = remote;
    HubRow {
        name: name.clone(),
        host,
        remote: Some(RemoteAccessRow {
            policy: access.policy,
            key: Secret::new(access.key.reveal()),
        }),
    }
}

/// A link that is there. A remote hub may have moved, or got another key.
fn changed(mut link: LinkRow, remote: Remote) -> Result<(LinkRow, HubChange), ServiceSetupError> {
    let Some(remote) = remote else {
        return Ok((link, HubChange::None));
    };
    let name = link.hub.name;
    if link.hub.remote.is_none() {
        return Err(ServiceSetupError::HubExists(name));
    }
    link.hub = remote_row(&name, remote);
    Ok((link, HubChange::Update))
}

/// The hub of a new link: one that lives here, or a remote one that is linked for the first time.
fn to_be_linked(
    view: &View<'_>,
    id_scope: &str,
    name: &HubName,
    remote: Remote,
) -> Result<(HubRow, HubChange), ServiceSetupError> {
    if view.linked_hubs(id_scope)?.len() >= MAX_LINKED_HUBS {
        return Err(ServiceSetupError::TooMany {
            what: "linked hubs",
            limit: MAX_LINKED_HUBS,
        });
    }
    let mut hubs = view.hubs()?.into_iter();
    let named = hubs.find(|hub| hub.name.as_str().eq_ignore_ascii_case(name.as_str()));
    match (named, remote) {
        (Some(hub), None) if hub.remote.is_none() && hub.name == *name => {
            Ok((hub, HubChange::None))
        }
        (_, None) => Err(ServiceSetupError::NoSuchHub(name.clone())),
        (Some(_), Some(_)) => Err(ServiceSetupError::HubExists(name.clone())),
        (None, Some(remote)) => Ok((remote_row(name, remote), HubChange::Insert)),
    }
}
