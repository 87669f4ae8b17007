//! How provisioning services begin: the first one in an empty directory, others when an operator creates them.

use ids::{HubHost, Timestamp};
use registry::{
    Entropy, FirstHub, Right, Rows, StorageError, generate_key, insert_policies, random,
};
use store::{HubRow, LinkRow, Secret, ServiceRow, Tx};

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

/// Gives an empty directory its first service, linked to the first hub. In another, the port of all services that listen where the
/// first hub does follows that.
pub(super) fn prepare(
    tx: &Tx<'_>,
    first_hub: &FirstHub,
    entropy: &dyn Entropy,
    now: Timestamp,
) -> Result<(), StorageError> {
    let services = tx.services()?;
    if services.is_empty() {
        return create(tx, first_hub, entropy, now);
    }
    let Some(before) = &first_hub.before else {
        return Ok(());
    };
    let rows = Rows { file: tx.file() };
    for service in services {
        let host = service.host.as_deref().map(HubHost::parse).transpose();
        if let Some(host) = rows.id("service host", host)?
            && host.port() == before.port()
        {
            let host = host.with_port(first_hub.host.port());
            tx.set_service_host(&service.id_scope, host.as_str())?;
        }
    }
    Ok(())
}

fn create(
    tx: &Tx<'_>,
    first_hub: &FirstHub,
    entropy: &dyn Entropy,
    now: Timestamp,
) -> Result<(), StorageError> {
    let service = NewService {
        name: FIRST_SERVICE.to_owned(),
        host: None,
    };
    let id_scope = insert_service(tx, service, entropy, now)?;
    let link = LinkRow {
        hub: HubRow {
            name: first_hub.name.to_string(),
            host: first_hub.host.to_string(),
            remote: None,
        },
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
        operation_key: Secret::new(generate_key(entropy).reveal()),
        name: new.name,
        host: new.host,
        allocation_policy: "hashed".to_owned(),
    };
    tx.insert_service(&row, now.ticks())?;
    insert_policies(tx, ("service", &row.id_scope), SERVICE_POLICIES, entropy)?;
    Ok(row.id_scope)
}
