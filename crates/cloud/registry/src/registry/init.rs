//! How services and hubs begin: the first ones in an empty directory, later ones when an operator asks.

use ids::{HubHost, Timestamp};
use store::{FormerHostRow, HubRow, LinkRow, PolicyRow, Secret, ServiceRow, Tx};
use wire::service_api::identity::KeyText;
use zeroize::Zeroizing;

use super::rows::Rows;
use super::{Init, MAX_FORMER_HOSTS};
use crate::entropy::{Entropy, random};
use crate::error::{OpenError, StorageError};
use crate::service::Right;

/// Name of the service that an empty directory gets.
const FIRST_SERVICE: &str = "dps";

/// The policy of a service's owner, which every service has.
pub(crate) const OWNER_POLICY: &str = "provisioningserviceowner";

const SERVICE_POLICIES: &[(&str, &[Right])] = &[(
    OWNER_POLICY,
    &[
        Right::ServiceConfig,
        Right::DeviceConnect,
        Right::EnrollmentRead,
        Right::EnrollmentWrite,
        Right::RegistrationStatusRead,
        Right::RegistrationStatusWrite,
    ],
)];

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

/// Initialises an empty directory; lets the first hub's host follow in another, and the port of all that listen where it does.
/// Returns how the first hub's name changed.
pub(crate) fn prepare(
    tx: &Tx<'_>,
    init: &Init,
    now: Timestamp,
) -> Result<Option<Renamed>, OpenError> {
    if tx.services()?.is_empty() {
        create(tx, init, now)?;
        return Ok(None);
    }
    let rows = Rows { file: tx.file() };
    let (mut first, others) = {
        let mut here = tx.hubs()?.into_iter().filter(|hub| hub.remote.is_none());
        match here.next() {
            Some(first) => (first, here.collect::<Vec<_>>()),
            None => return Ok(None),
        }
    };
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
    for service in tx.services()? {
        let host = service.host.as_deref().map(HubHost::parse).transpose();
        if let Some(host) = rows.id("service host", host)?
            && host.port() == before.port()
        {
            let host = host.with_port(init.hub_host.port());
            tx.set_service_host(&service.id_scope, host.as_str())?;
        }
    }
    first.host = init.hub_host.to_string();
    tx.update_hub(&first)?;
    if !renamed {
        return Ok(None);
    }
    remember_host(tx, &before, Some(first.name), now)?;
    tx.delete_former_host(&former_name(&init.hub_host))?;
    let after = init.hub_host.clone();
    Ok(Some(Renamed { before, after }))
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

fn create(tx: &Tx<'_>, init: &Init, now: Timestamp) -> Result<(), StorageError> {
    let service = NewService {
        name: FIRST_SERVICE.to_owned(),
        host: None,
    };
    let id_scope = insert_service(tx, service, &*init.entropy, now)?;
    let hub = HubRow {
        name: init.hub_name.to_string(),
        host: init.hub_host.to_string(),
        remote: None,
    };
    insert_hub(tx, &hub, &*init.entropy, now)?;
    let link = LinkRow {
        hub,
        allocation_weight: None,
        apply_allocation_policy: true,
        latencies: None,
    };
    Ok(tx.put_link(&id_scope, &link)?)
}

/// A service about to be made.
pub(crate) struct NewService {
    pub(crate) name: String,
    pub(crate) host: Option<String>,
}

/// Adds a service with fresh ID scope and keys; returns the scope.
pub(crate) fn insert_service(
    tx: &Tx<'_>,
    new: NewService,
    entropy: &dyn Entropy,
    now: Timestamp,
) -> Result<String, StorageError> {
    let scope: String = random::<4>(entropy)
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    let row = ServiceRow {
        id_scope: format!("0ne{scope}"),
        operation_key: fresh_key(entropy),
        name: new.name,
        host: new.host,
        allocation_policy: "hashed".to_owned(),
    };
    tx.insert_service(&row, now.ticks())?;
    insert_policies(tx, ("service", &row.id_scope), SERVICE_POLICIES, entropy)?;
    Ok(row.id_scope)
}

/// Adds a hub of this directory with its policies.
pub(crate) fn insert_hub(
    tx: &Tx<'_>,
    hub: &HubRow,
    entropy: &dyn Entropy,
    now: Timestamp,
) -> Result<(), StorageError> {
    tx.insert_hub(hub, now.ticks())?;
    insert_policies(tx, ("hub", &hub.name), HUB_POLICIES, entropy)
}

fn insert_policies(
    tx: &Tx<'_>,
    (owner_kind, owner): (&str, &str),
    policies: &[(&str, &[Right])],
    entropy: &dyn Entropy,
) -> Result<(), StorageError> {
    for (name, rights) in policies {
        let policy = PolicyRow {
            name: (*name).to_owned(),
            primary_key: fresh_key(entropy),
            secondary_key: fresh_key(entropy),
            rights: rights_text(rights),
        };
        tx.insert_policy(owner_kind, owner, &policy)?;
    }
    Ok(())
}

/// The column of rights.
pub(crate) fn rights_text(rights: &[Right]) -> String {
    let names: Vec<_> = rights.iter().map(|right| right.name()).collect();
    names.join(",")
}

/// 32 random bytes in base64.
fn fresh_key(entropy: &dyn Entropy) -> Secret {
    Secret::new(generate_key(entropy).reveal())
}

/// A key of 32 random bytes, as the hub generates them.
pub(crate) fn generate_key(entropy: &dyn Entropy) -> KeyText {
    let bytes = Zeroizing::new(random::<32>(entropy));
    KeyText::from_bytes(&*bytes).unwrap_or_else(|_| unreachable!("32 bytes are between 16 and 64"))
}
