//! How provisioning services begin: the first one in an empty directory, others when
//! an operator creates them.

use ids::{HubHost, IdScope, ServiceName, Timestamp};
use registry::{Entropy, FirstHub, Right, generate_key, new_policies, random};
use store::{HubRow, LinkRow, PolicyOwner, PolicyRow, Secret, ServiceRow, StoreError, Tx};

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

/// Gives an empty directory its first service, linked to the first hub. In another, the port of all
/// services that listen where the first hub does follows that.
pub(super) fn prepare(
    tx: &Tx<'_>,
    first_hub: &FirstHub,
    service: &NewService,
    now: Timestamp,
) -> Result<(), StoreError> {
    let services = tx.services()?;
    if services.is_empty() {
        return create(tx, first_hub, service, now);
    }
    let Some(before) = &first_hub.before else {
        return Ok(());
    };
    for row in services {
        if let Some(host) = row.host.filter(|host| host.port() == before.port()) {
            let host = host.with_port(first_hub.host.port());
            tx.set_service_host(&row.id_scope, &host)?;
        }
    }
    Ok(())
}

fn create(
    tx: &Tx<'_>,
    first_hub: &FirstHub,
    service: &NewService,
    now: Timestamp,
) -> Result<(), StoreError> {
    service.insert(tx, now)?;
    let link = LinkRow {
        hub: HubRow {
            name: first_hub.name.clone(),
            host: first_hub.host.clone(),
            remote: None,
        },
        allocation_weight: None,
        apply_allocation_policy: true,
        latencies: None,
    };
    tx.put_link(service.row.id_scope.as_str(), &link)
}

/// A service about to be made, with fresh ID scope and keys.
pub(crate) struct NewService {
    pub(crate) row: ServiceRow,
    policies: Vec<PolicyRow>,
}

impl NewService {
    /// The first service of a directory.
    pub(crate) fn first(entropy: &dyn Entropy) -> Self {
        Self::new(ServiceName::first(), None, entropy)
    }

    pub(crate) fn new(name: ServiceName, host: Option<HubHost>, entropy: &dyn Entropy) -> Self {
        let row = ServiceRow {
            id_scope: IdScope::from_random(random(entropy)),
            operation_key: Secret::new(generate_key(entropy).reveal()),
            name,
            host,
            allocation_policy: "hashed".to_owned(),
        };
        Self {
            row,
            policies: new_policies(SERVICE_POLICIES, entropy),
        }
    }

    pub(crate) fn insert(&self, tx: &Tx<'_>, now: Timestamp) -> Result<(), StoreError> {
        tx.insert_service(&self.row, now.ticks())?;
        let owner = PolicyOwner::Service {
            id_scope: self.row.id_scope.as_str(),
        };
        let mut policies = self.policies.iter();
        policies.try_for_each(|policy| tx.insert_policy(owner, policy))
    }
}
