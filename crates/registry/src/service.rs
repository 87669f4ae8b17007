use ids::{HubHost, HubName, IdScope};
use wire::identity::KeyText;

use crate::key::SecretBytes;

/// What a shared access policy may allow. The wire spells them as the variants are spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Right {
    /// DPS: read and change the service's settings.
    ServiceConfig,
    /// DPS: read enrollments.
    EnrollmentRead,
    /// DPS: create, change and delete enrollments.
    EnrollmentWrite,
    /// DPS: read registration records.
    RegistrationStatusRead,
    /// DPS: delete registration records.
    RegistrationStatusWrite,
    /// Hub: read identities.
    RegistryRead,
    /// Hub: create, change and delete identities.
    RegistryWrite,
    /// Hub: twins, methods, messages from the service's side.
    ServiceConnect,
    /// Hub and DPS: act as any device.
    DeviceConnect,
}

impl Right {
    pub(crate) const ALL: [Self; 9] = [
        Self::ServiceConfig,
        Self::EnrollmentRead,
        Self::EnrollmentWrite,
        Self::RegistrationStatusRead,
        Self::RegistrationStatusWrite,
        Self::RegistryRead,
        Self::RegistryWrite,
        Self::ServiceConnect,
        Self::DeviceConnect,
    ];

    /// The name that portals and connection strings' documentation use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ServiceConfig => "ServiceConfig",
            Self::EnrollmentRead => "EnrollmentRead",
            Self::EnrollmentWrite => "EnrollmentWrite",
            Self::RegistrationStatusRead => "RegistrationStatusRead",
            Self::RegistrationStatusWrite => "RegistrationStatusWrite",
            Self::RegistryRead => "RegistryRead",
            Self::RegistryWrite => "RegistryWrite",
            Self::ServiceConnect => "ServiceConnect",
            Self::DeviceConnect => "DeviceConnect",
        }
    }
}

/// A named pair of keys and what they allow: the `SharedAccessKeyName` and `SharedAccessKey` of a connection string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedAccessPolicy {
    /// For example `iothubowner`.
    pub name: String,
    /// The key in daily use.
    pub primary: KeyText,
    /// The key to roll over to.
    pub secondary: KeyText,
    /// What a bearer of either key may do.
    pub rights: Vec<Right>,
}

impl SharedAccessPolicy {
    /// Whether bearers may do this.
    #[must_use]
    pub fn grants(&self, right: Right) -> bool {
        self.rights.contains(&right)
    }
}

/// A hub that the provisioning service may assign devices to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkedHub {
    /// Its name inside Muster; part of every identity's key.
    pub name: HubName,
    /// Where devices reach it; what `assignedHub` says.
    pub host: HubHost,
    /// 1 to 1000; `None` counts as 1.
    pub allocation_weight: Option<u16>,
    /// Whether allocation policies may choose it at all.
    pub apply_allocation_policy: bool,
    /// Its shared access policies: `iothubowner`, `service`, `device`, `registryRead`, `registryReadWrite`.
    pub policies: Vec<SharedAccessPolicy>,
}

/// The provisioning service of a data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvisioningService {
    /// Names the service to devices; never changes.
    pub id_scope: IdScope,
    /// The linked hubs, ordered by name.
    pub hubs: Vec<LinkedHub>,
    /// Its shared access policies: `provisioningserviceowner`.
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

    /// The linked hub at this host; case and ports do not matter.
    #[must_use]
    pub fn hub_at(&self, host: &HubHost) -> Option<&LinkedHub> {
        self.hubs.iter().find(|hub| hub.host.same_name(host))
    }
}
