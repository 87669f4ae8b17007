use store::{PolicyRow, Secret, StoreError, View};
use wire::service_api::identity::KeyText;

use crate::entropy::{Entropy, generate_key};

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

/// A named pair of keys and what they allow: the `SharedAccessKeyName` and `SharedAccessKey`
/// of a connection string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedAccessPolicy {
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

/// The column of rights.
#[must_use]
pub fn rights_text(rights: &[Right]) -> String {
    let names: Vec<_> = rights.iter().map(|right| right.name()).collect();
    names.join(",")
}

/// Policies with fresh keys, to be inserted.
#[must_use]
pub fn new_policies(policies: &[(&str, &[Right])], entropy: &dyn Entropy) -> Vec<PolicyRow> {
    let fresh_key = || Secret::new(generate_key(entropy).reveal());
    let new = policies.iter().map(|(name, rights)| PolicyRow {
        name: (*name).to_owned(),
        primary_key: fresh_key(),
        secondary_key: fresh_key(),
        rights: rights_text(rights),
    });
    new.collect()
}

/// Reads a stored key.
pub fn read_key(view: &View<'_>, text: &Secret) -> Result<KeyText, StoreError> {
    view.decoded("key", KeyText::parse(text.reveal()))
}

/// The policies of a hub or a service.
pub fn read_policies(
    view: &View<'_>,
    owner_kind: &str,
    owner: &str,
) -> Result<Vec<SharedAccessPolicy>, StoreError> {
    let policies = view.policies(owner_kind, owner)?.into_iter();
    policies.map(|row| read_policy(view, row)).collect()
}

/// Reads a stored policy.
pub fn read_policy(view: &View<'_>, row: PolicyRow) -> Result<SharedAccessPolicy, StoreError> {
    let named = |name: &str| Right::named(name).ok_or_else(|| view.damaged("right", name));
    let rights = row.rights.split(',').map(named);
    Ok(SharedAccessPolicy {
        primary: read_key(view, &row.primary_key)?,
        secondary: read_key(view, &row.secondary_key)?,
        rights: rights.collect::<Result<_, StoreError>>()?,
        name: row.name,
    })
}
