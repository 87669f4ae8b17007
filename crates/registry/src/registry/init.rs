//! How services and hubs begin: the first ones in an empty directory, later ones when an operator asks.

use ids::{HubHost, Timestamp};
use store::{HubRow, LinkRow, PolicyRow, Secret, ServiceRow, Tx};
use wire::identity::KeyText;
use zeroize::Zeroizing;

use super::Init;
use super::rows::Rows;
use crate::entropy::{Entropy, random};
use crate::error::StorageError;
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
pub(crate) fn prepare(tx: &Tx<'_>, init: &Init, now: Timestamp) -> Result<(), StorageError> {
    if tx.services()?.is_empty() {
        return create(tx, init, now);
    }
    let rows = Rows { file: tx.file() };
    let mut here = tx.hubs()?.into_iter().filter(|hub| hub.remote.is_none());
    let Some(mut first) = here.next() else {
        return Ok(());
    };
    let before = rows.id("hub host", HubHost::parse(&first.host))?.port();
    for mut hub in here {
        let host = rows.id("hub host", HubHost::parse(&hub.host))?;
        if host.port() == before {
            hub.host = host.with_port(init.hub_host.port()).to_string();
            tx.update_hub(&hub)?;
        }
    }
    for service in tx.services()? {
        let host = service.host.as_deref().map(HubHost::parse).transpose();
        if let Some(host) = rows.id("service host", host)?
            && host.port() == before
        {
            let host = host.with_port(init.hub_host.port());
            tx.set_service_host(&service.id_scope, host.as_str())?;
        }
    }
    first.host = init.hub_host.to_string();
    Ok(tx.update_hub(&first)?)
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
