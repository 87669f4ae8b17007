use ids::HubName;

use crate::{Lock, Secret};

/// A shared access policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyRow {
    pub name: String,
    /// Encoded as base64.
    pub primary_key: Secret,
    /// Encoded as base64.
    pub secondary_key: Secret,
    pub rights: Vec<Right>,
}

/// The hub or service that a policy opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyOwner<'a> {
    Hub(&'a HubName),
    Service { id_scope: &'a str },
}

impl<'a> PolicyOwner<'a> {
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Hub(_) => "hub",
            Self::Service { .. } => "service",
        }
    }

    pub(crate) fn name(self) -> &'a str {
        match self {
            Self::Hub(hub) => hub.as_str(),
            Self::Service { id_scope } => id_scope,
        }
    }

    pub(crate) fn lock(self) -> Lock<'a> {
        match self {
            Self::Hub(hub) => Lock::hub(hub),
            Self::Service { id_scope } => Lock::Service { id_scope },
        }
    }
}

/// What a shared access policy may allow. The wire spells them as the variants are spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Right {
    /// DPS: read and change the service's settings.
    ServiceConfig,
    EnrollmentRead,
    /// DPS: create, change and delete enrollments.
    EnrollmentWrite,
    /// DPS: read registration records.
    RegistrationStatusRead,
    /// DPS: delete registration records.
    RegistrationStatusWrite,
    RegistryRead,
    /// Hub: create, change and delete identities.
    RegistryWrite,
    /// Hub: twins, methods, messages from the service's side.
    ServiceConnect,
    /// Hub and DPS: act as any device.
    DeviceConnect,
}

impl Right {
    const ALL: [Self; 9] = [
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

    /// The right of this name, in any letter case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|right| right.name().eq_ignore_ascii_case(name))
    }

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
