//! How hubs begin: the first one in an empty directory, others when an operator creates them.

use ids::{HubHost, HubName, Timestamp};
use store::{FormerHostRow, HubRow, Tx};

use super::Init;
use crate::entropy::Entropy;
use crate::error::{OpenError, StorageError};
use crate::limits::MAX_FORMER_HOSTS;
use crate::policy::{Right, insert_policies};
use crate::rows::Rows;

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
    /// Its name.
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

/// Initialises an empty directory. In another, lets the first hub's host follow, and the port of all hubs that listen where it does.
pub(super) fn prepare(tx: &Tx<'_>, init: &Init, now: Timestamp) -> Result<FirstHub, OpenError> {
    let rows = Rows { file: tx.file() };
    let mut local = tx.hubs()?.into_iter().filter(|hub| hub.remote.is_none());
    let Some(mut first) = local.next() else {
        return Ok(create(tx, init, now)?);
    };
    let others: Vec<HubRow> = local.collect();
    let name = rows.id("hub", HubName::parse(&first.name))?;
    let before = rows.id("hub host", HubHost::parse(&first.host))?;
    let renamed = !before.same_name(&init.hub_host);
    for mut hub in others {
        let host = rows.id("hub host", HubHost::parse(&hub.host))?;
        if renamed && host.same_name(&init.hub_host) {
            return Err(OpenError::HostTaken {
                host: init.hub_host.clone(),
                hub: hub.name,
            });
        }
        if host.port() == before.port() {
            hub.host = host.with_port(init.hub_host.port()).to_string();
            tx.update_hub(&hub)?;
        }
    }
    first.host = init.hub_host.to_string();
    tx.update_hub(&first)?;
    if renamed {
        remember_host(tx, &before, Some(first.name), now)?;
        tx.delete_former_host(&former_name(&init.hub_host))?;
    }
    Ok(FirstHub {
        name,
        host: init.hub_host.clone(),
        before: Some(before),
    })
}

/// The first hub, and with it the server, has another host name than at the start before.
#[derive(Debug, Clone)]
pub struct Renamed {
    /// What it was; devices that were assigned to it are refused there, and register again.
    pub before: HubHost,
    /// What it is.
    pub after: HubHost,
}

/// How a former host name is written down.
pub(crate) fn former_name(host: &HubHost) -> String {
    host.name().to_ascii_lowercase()
}

/// Remembers a host name that a hub gives up: devices were told it.
pub(crate) fn remember_host(
    tx: &Tx<'_>,
    host: &HubHost,
    hub: Option<String>,
    now: Timestamp,
) -> Result<(), StorageError> {
    let host = former_name(host);
    let former = FormerHostRow { host, hub };
    Ok(tx.put_former_host(&former, now.ticks(), MAX_FORMER_HOSTS)?)
}

fn create(tx: &Tx<'_>, init: &Init, now: Timestamp) -> Result<FirstHub, StorageError> {
    let hub = HubRow {
        name: init.hub_name.to_string(),
        host: init.hub_host.to_string(),
        remote: None,
    };
    insert_hub(tx, &hub, &*init.entropy, now)?;
    Ok(FirstHub {
        name: init.hub_name.clone(),
        host: init.hub_host.clone(),
        before: None,
    })
}

/// Adds a hub of this directory with its policies.
pub(super) fn insert_hub(
    tx: &Tx<'_>,
    hub: &HubRow,
    entropy: &dyn Entropy,
    now: Timestamp,
) -> Result<(), StorageError> {
    tx.insert_hub(hub, now.ticks())?;
    insert_policies(tx, ("hub", &hub.name), HUB_POLICIES, entropy)
}
