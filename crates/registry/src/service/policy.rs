use wire::identity::KeyText;

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

/// A shared access policy about to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyDraft {
    /// Its name.
    pub name: String,
    /// What bearers may do.
    pub rights: Vec<Right>,
    /// `None`: generated.
    pub primary: Option<KeyText>,
    /// `None`: generated.
    pub secondary: Option<KeyText>,
}

/// One of a policy's two keys, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyChoice {
    /// A fresh primary key.
    Primary,
    /// A fresh secondary key.
    Secondary,
    /// The two change places.
    Swap,
}
