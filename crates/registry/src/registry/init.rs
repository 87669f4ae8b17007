//! The service of a data directory: made in an empty one, read from all others.

use ids::{HubHost, IdScope, Timestamp};
use store::{HubRow, PolicyRow, Secret, ServiceRow, Tx, View};
use wire::identity::KeyText;
use zeroize::Zeroizing;

use super::Init;
use super::rows::Rows;
use crate::entropy::{Entropy, random};
use crate::error::StorageError;
use crate::key::SecretBytes;
use crate::service::{LinkedHub, ProvisioningService, Right, SharedAccessPolicy};

const SERVICE_POLICIES: &[(&str, &[Right])] = &[(
    "provisioningserviceowner",
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

/// Initialises an empty directory; lets the first hub's host follow in another.
pub(crate) fn prepare(tx: &Tx<'_>, init: &Init, now: Timestamp) -> Result<(), StorageError> {
    let host = init.hub_host.as_str();
    if tx.service()?.is_none() {
        return create(tx, init, now);
    }
    if let Some(first) = tx.first_hub()? {
        tx.set_hub_host(&first, host)?;
    }
    Ok(())
}

fn create(tx: &Tx<'_>, init: &Init, now: Timestamp) -> Result<(), StorageError> {
    let entropy = &*init.entropy;
    let scope: String = random::<4>(entropy)
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    let id_scope = format!("0ne{scope}");
    let operation_key = fresh_key(entropy);
    tx.insert_service(
        &ServiceRow {
            id_scope: id_scope.clone(),
            operation_key,
        },
        now.ticks(),
    )?;
    insert_policies(tx, ("service", &id_scope), SERVICE_POLICIES, entropy)?;
    let hub = HubRow {
        name: init.hub_name.to_string(),
        host: init.hub_host.to_string(),
        allocation_weight: None,
        apply_allocation_policy: true,
    };
    tx.insert_linked_hub(&id_scope, &hub, now.ticks())?;
    insert_policies(tx, ("hub", &hub.name), HUB_POLICIES, entropy)
}

fn insert_policies(
    tx: &Tx<'_>,
    (owner_kind, owner): (&str, &str),
    policies: &[(&str, &[Right])],
    entropy: &dyn Entropy,
) -> Result<(), StorageError> {
    for (name, rights) in policies {
        let names: Vec<_> = rights.iter().map(|right| right.name()).collect();
        let policy = PolicyRow {
            name: (*name).to_owned(),
            primary_key: fresh_key(entropy),
            secondary_key: fresh_key(entropy),
            rights: names.join(","),
        };
        tx.insert_policy(owner_kind, owner, &policy)?;
    }
    Ok(())
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

/// Reads the service. `None` when the directory is empty.
pub(crate) fn read(view: &View<'_>) -> Result<Option<ProvisioningService>, StorageError> {
    let rows = Rows { file: view.file() };
    let Some(service) = view.service()? else {
        return Ok(None);
    };
    let mut hubs = Vec::new();
    for hub in view.linked_hubs(&service.id_scope)? {
        hubs.push(LinkedHub {
            policies: read_policies(view, "hub", &hub.name)?,
            name: rows.id("hub", hub.name.try_into())?,
            host: rows.id("hub host", HubHost::parse(&hub.host))?,
            allocation_weight: hub.allocation_weight,
            apply_allocation_policy: hub.apply_allocation_policy,
        });
    }
    let key = read_key(rows, &service.operation_key)?;
    Ok(Some(ProvisioningService {
        hubs,
        policies: read_policies(view, "service", &service.id_scope)?,
        id_scope: rows.id("ID scope", IdScope::parse(&service.id_scope))?,
        operation_key: SecretBytes::from_base64(key.reveal()),
    }))
}

fn read_key(rows: Rows<'_>, text: &Secret) -> Result<KeyText, StorageError> {
    KeyText::parse(text.reveal()).map_err(|error| rows.damaged("key", error))
}

fn read_policies(
    view: &View<'_>,
    owner_kind: &str,
    owner: &str,
) -> Result<Vec<SharedAccessPolicy>, StorageError> {
    let rows = Rows { file: view.file() };
    let policy = |row: PolicyRow| {
        let named = |name: &str| Right::ALL.into_iter().find(|right| right.name() == name);
        let rights = row
            .rights
            .split(',')
            .map(|name| named(name).ok_or_else(|| rows.damaged("right", name)));
        Ok(SharedAccessPolicy {
            primary: read_key(rows, &row.primary_key)?,
            secondary: read_key(rows, &row.secondary_key)?,
            rights: rights.collect::<Result<_, StorageError>>()?,
            name: row.name,
        })
    };
    view.policies(owner_kind, owner)?
        .into_iter()
        .map(policy)
        .collect()
}
