use std::sync::Arc;

use ids::{HubHost, HubName, IdScope, ServiceName};
use wire::service_api::enrollment::AllocationPolicy;

use crate::key::SecretBytes;

mod error;
mod hub;
mod policy;

pub use error::ServingError;
pub use hub::{AllocationWeight, HubReach, LinkDraft, LinkedHub, LocalHub, RemoteAccess};
pub use policy::{KeyChoice, PolicyDraft, PolicyDraftError, Right, SharedAccessPolicy};

/// A provisioning service of a data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvisioningService {
    /// Names the service to devices; never changes.
    pub id_scope: IdScope,
    /// Names the service to operators; never changes.
    pub name: ServiceName,
    /// Where operators reach it; `None` for the server's own host.
    pub host: Option<HubHost>,
    /// How a hub is chosen for enrollments that do not say.
    pub allocation_policy: AllocationPolicy,
    /// The linked hubs, ordered by name.
    pub hubs: Vec<LinkedHub>,
    /// Its shared access policies: `provisioningserviceowner`, and those that operators made.
    pub policies: Vec<SharedAccessPolicy>,
    /// 32 bytes: authenticates the operation ids that devices poll with, so that none needs storing.
    pub operation_key: SecretBytes,
}

impl ProvisioningService {
    /// The linked hub of this name.
    #[must_use]
    pub fn hub(&self, name: &HubName) -> Option<&LinkedHub> {
        self.hubs.iter().find(|hub| &hub.name == name)
    }

    /// The linked hub at this host; case does not matter, and a port only where both have one. A host that no hub has any more
    /// means the hub that had it.
    #[must_use]
    pub fn hub_at(&self, host: &HubHost) -> Option<&LinkedHub> {
        let exactly = self.hubs.iter().find(|hub| hub.host.is_exactly(host));
        exactly
            .or_else(|| self.hubs.iter().find(|hub| hub.host.may_be(host)))
            .or_else(|| self.hubs.iter().find(|hub| hub.was_at(host)))
    }
}

/// Everything that a data directory serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// Its provisioning services, the first one first: whoever may configure that one may add others, and hubs.
    pub services: Vec<Arc<ProvisioningService>>,
    /// The hubs that live here, linked or not, in the order in which they came.
    pub hubs: Vec<Arc<LocalHub>>,
    /// Host names that hubs of it had and no hub has now, the latest first. Devices were told them.
    pub former_hosts: Vec<FormerHost>,
}

/// A host name that a hub had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormerHost {
    /// Without a port.
    pub host: HubHost,
    /// Which hub had it; `None` when that hub is deleted.
    pub hub: Option<HubName>,
}

impl Served {
    /// The hub at this host; case and ports do not matter.
    #[must_use]
    pub fn hub_at(&self, host: &HubHost) -> Option<&Arc<LocalHub>> {
        self.hubs.iter().find(|hub| hub.host.same_name(host))
    }

    /// The hub that had this host, when no hub has it now; case and ports do not matter.
    #[must_use]
    pub fn hub_formerly_at(&self, host: &HubHost) -> Option<&Arc<LocalHub>> {
        let mut former = self.former_hosts.iter();
        let name = former
            .find(|former| former.host.same_name(host))?
            .hub
            .as_ref()?;
        self.hubs.iter().find(|hub| hub.name == *name)
    }
}
