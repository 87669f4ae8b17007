use wire::service_api::identity::KeyText;

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

    /// The rights that a provisioning service knows.
    const OF_PROVISIONING: [Self; 6] = [
        Self::ServiceConfig,
        Self::EnrollmentRead,
        Self::EnrollmentWrite,
        Self::RegistrationStatusRead,
        Self::RegistrationStatusWrite,
        Self::DeviceConnect,
    ];

    fn of_provisioning_text() -> String {
        Self::OF_PROVISIONING.map(Self::name).join(", ")
    }

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

/// A shared access policy of a provisioning service about to be made. Only [`PolicyDraft::new`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyDraft {
    name: String,
    rights: Vec<Right>,
    keys: [Option<KeyText>; 2],
}

/// Why a policy is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyDraftError {
    /// Its name is not usable in connection strings.
    #[error(
        "a policy's name has 1 to 64 ASCII letters, digits and - _ . and not {found:?}",
        found = name.chars().take(80).collect::<String>()
    )]
    Name {
        /// As given.
        name: String,
    },
    /// It allows nothing.
    #[error("a policy has at least one right of {}", Right::of_provisioning_text())]
    NoRight,
    /// A right that a provisioning service does not know.
    #[error(
        "{name:?} is not a right of a provisioning service; these are: {}",
        Right::of_provisioning_text()
    )]
    Right {
        /// As given.
        name: String,
    },
}

impl PolicyDraft {
    /// Checks name and rights. Keys that are `None` will be generated.
    ///
    /// # Errors
    /// When the name cannot stand in a connection string, or the rights are none or not a provisioning service's.
    pub fn new(
        name: &str,
        rights: &[String],
        keys: [Option<KeyText>; 2],
    ) -> Result<Self, PolicyDraftError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name.len() > 64 || !name.chars().all(allowed) {
            let name = name.to_owned();
            return Err(PolicyDraftError::Name { name });
        }
        let known = |text: &String| {
            Right::named(text)
                .filter(|right| Right::OF_PROVISIONING.contains(right))
                .ok_or_else(|| PolicyDraftError::Right {
                    name: text.chars().take(80).collect(),
                })
        };
        let mut rights = rights.iter().map(known).collect::<Result<Vec<_>, _>>()?;
        rights.sort_unstable();
        rights.dedup();
        match rights.is_empty() {
            true => Err(PolicyDraftError::NoRight),
            false => Ok(Self {
                name: name.to_owned(),
                rights,
                keys,
            }),
        }
    }

    pub(crate) fn into_parts(self) -> (String, Vec<Right>, [Option<KeyText>; 2]) {
        (self.name, self.rights, self.keys)
    }
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
