use ids::{HubHost, HubName, IdScope, ServiceName};
use registry::SharedAccessPolicy;
use wire::service_api::enrollment::AllocationPolicy;

use crate::key::SecretBytes;

mod error;
mod linked_hub;

pub use error::ServiceSetupError;
pub use linked_hub::{AllocationWeight, HubAccess, LinkDraft, LinkedHub, RemoteAccess};

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
    /// 32 bytes: authenticates the operation ids that devices poll with, so
    /// that none needs storing.
    pub operation_key: SecretBytes,
}

impl ProvisioningService {
    /// The linked hub of this name.
    #[must_use]
    pub fn hub(&self, name: &HubName) -> Option<&LinkedHub> {
        self.hubs.iter().find(|hub| &hub.name == name)
    }

    /// The linked hub at this host; case does not matter, and a port only where both have one. A
    /// host that no hub has any more means the hub that had it.
    #[must_use]
    pub fn hub_at(&self, host: &HubHost) -> Option<&LinkedHub> {
        let exactly = self.hubs.iter().find(|hub| hub.host.is_exactly(host));
        exactly
            .or_else(|| self.hubs.iter().find(|hub| hub.host.may_be(host)))
            .or_else(|| self.hubs.iter().find(|hub| hub.was_at(host)))
    }
}
