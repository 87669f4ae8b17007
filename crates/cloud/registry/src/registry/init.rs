//! How hubs begin: the first one in an empty directory, others when an operator creates them.

use ids::{HubHost, HubName, Timestamp};
use store::{
    FormerHostRow, HubRow, Lock, PolicyOwner, PolicyRow, Right, StoreError, Tx, Unit, View,
};

use super::Init;
use crate::entropy::Entropy;
use crate::error::OpenError;
use crate::limits::MAX_FORMER_HOSTS;
use crate::policy::new_policies;

const HUB_POLICIES: &[(&str, &[Right])] = &[
    (
        "iothubowner",
        &[
            Right::RegistryRead,
            Right::RegistryWrite,
            Right::ServiceConnect,
            Right::DeviceConnect,
        ],
    ),
    ("service", &[Right::ServiceConnect]),
    ("device", &[Right::DeviceConnect]),
    ("registryRead", &[Right::RegistryRead]),
    (
        "registryReadWrite",
        &[Right::RegistryRead, Right::RegistryWrite],
    ),
];

/// The first hub of a data directory, as it is opened.
#[derive(Debug, Clone)]
pub struct FirstHub {
    pub name: HubName,
    /// Its host, and so the server's.
    pub host: HubHost,
    /// Its host when the directory was open before; `None` when the hub has just been created.
    pub before: Option<HubHost>,
}

impl FirstHub {
    pub(super) fn renamed(self) -> Option<Renamed> {
        let before = self.before.filter(|before| !before.same_name(&self.host))?;
        let after = self.host;
        Some(Renamed { before, after })
    }
}

/// Initialises an empty directory. In another, lets the first hub's host follow, and the port of
/// all hubs that listen where it does. `F` is the last part of the transaction.
pub(super) struct Initialise<F> {
    init: Init,
    /// Of the first hub.
    policies: Vec<PolicyRow>,
    prepare: F,
    now: Timestamp,
}

impl<F> Initialise<F> {
    pub(super) fn new(init: Init, prepare: F, now: Timestamp) -> Self {
        Self {
            policies: new_hub_policies(&*init.entropy),
            init,
            prepare,
            now,
        }
    }
}

/// What is written when a directory is opened.
pub(super) struct InitialisePlan {
    first: FirstHub,
    /// Hubs whose hosts follow.
    moved: Vec<HubRow>,
}

impl<F> Unit for Initialise<F>
where
    F: Fn(&Tx<'_>, &FirstHub) -> Result<(), StoreError> + Send + 'static,
{
    type Plan = InitialisePlan;
    type Output = Option<Renamed>;
    type Error = OpenError;

    fn locks(&self) -> Vec<Lock<'_>> {
        vec![Lock::Directory]
    }

    fn decide(&self, view: &View<'_>) -> Result<InitialisePlan, OpenError> {
        let mut local = view.hubs()?.into_iter().filter(|hub| hub.remote.is_none());
        let host = self.init.hub_host.clone();
        let Some(mut first) = local.next() else {
            let first = FirstHub {
                name: self.init.hub_name.clone(),
                host,
                before: None,
            };
            let moved = Vec::new();
            return Ok(InitialisePlan { first, moved });
        };
        let (name, before) = (first.name.clone(), first.host.clone());
        let renamed = !before.same_name(&host);
        let mut moved = Vec::new();
        for mut hub in local {
            if renamed && hub.host.same_name(&host) {
                let hub = hub.name;
                return Err(OpenError::HostTaken { host, hub });
            }
            if hub.host.port() == before.port() {
                hub.host = hub.host.with_port(host.port());
                moved.push(hub);
            }
        }
        first.host = host.clone();
        moved.push(first);
        let before = Some(before);
        let first = FirstHub { name, host, before };
        Ok(InitialisePlan { first, moved })
    }

    fn apply(&self, tx: &Tx<'_>, plan: InitialisePlan) -> Result<Option<Renamed>, StoreError> {
        let first = plan.first;
        plan.moved.iter().try_for_each(|hub| tx.update_hub(hub))?;
        match &first.before {
            None => {
                let hub = HubRow {
                    name: first.name.clone(),
                    host: first.host.clone(),
                    remote: None,
                };
                insert_hub(tx, &hub, &self.policies, self.now)?;
            }
            Some(before) if !before.same_name(&first.host) => {
                remember_host(tx, before, Some(first.name.clone()), self.now)?;
                tx.delete_former_host(&first.host)?;
            }
            Some(_) => {}
        }
        (self.prepare)(tx, &first)?;
        Ok(first.renamed())
    }
}

/// The first hub, and with it the server, has another host name than at the start before.
#[derive(Debug, Clone)]
pub struct Renamed {
    /// What it was; devices that were assigned to it are refused there, and register again.
    pub before: HubHost,
    pub after: HubHost,
}

/// Remembers a host name that a hub gives up: devices were told it.
pub(crate) fn remember_host(
    tx: &Tx<'_>,
    host: &HubHost,
    hub: Option<HubName>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let host = host.clone();
    let former = FormerHostRow { host, hub };
    tx.put_former_host(&former, now.ticks(), MAX_FORMER_HOSTS)
}

pub(super) fn new_hub_policies(entropy: &dyn Entropy) -> Vec<PolicyRow> {
    new_policies(HUB_POLICIES, entropy)
}

/// Adds a hub of this directory with its policies.
pub(super) fn insert_hub(
    tx: &Tx<'_>,
    hub: &HubRow,
    policies: &[PolicyRow],
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.insert_hub(hub, now.ticks())?;
    let mut policies = policies.iter();
    policies.try_for_each(|policy| tx.insert_policy(PolicyOwner::Hub(&hub.name), policy))
}
