use ids::{DeviceId, GenerationId, HubName, Identity, ModuleId};

use crate::{Secret, StoreError};

/// Names a device or a module, without owning the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdentityKey<'a> {
    pub hub: &'a HubName,
    pub device_id: &'a DeviceId,
    /// `None` for the device itself.
    pub module_id: Option<&'a ModuleId>,
}

impl<'a> IdentityKey<'a> {
    #[must_use]
    pub fn device(hub: &'a HubName, device_id: &'a DeviceId) -> Self {
        Self {
            hub,
            device_id,
            module_id: None,
        }
    }
}

impl<'a> From<&'a Identity> for IdentityKey<'a> {
    fn from(identity: &'a Identity) -> Self {
        Self {
            hub: &identity.hub,
            device_id: &identity.device,
            module_id: identity.module.as_ref(),
        }
    }
}

/// A device or module without its twin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityRow {
    /// Row id; 0 before it is inserted.
    pub id: i64,
    pub hub: HubName,
    pub device_id: DeviceId,
    /// `None` for the device itself.
    pub module_id: Option<ModuleId>,
    pub generation_id: GenerationId,
    pub revision: i64,
    /// Whether it may connect (devices).
    pub enabled: bool,
    pub status_reason: Option<String>,
    /// When `enabled` last changed, 100 ns since 1970 (devices).
    pub status_updated: i64,
    pub auth_kind: AuthKind,
    /// Base64 key or hexadecimal thumbprint.
    pub auth_primary: Option<Secret>,
    /// Base64 key or hexadecimal thumbprint.
    pub auth_secondary: Option<Secret>,
    /// Whether it is an IoT Edge device.
    pub iot_edge: bool,
    /// Who manages it (modules).
    pub managed_by: Option<String>,
    pub device_scope: Option<String>,
    /// JSON array of scopes; `None` when empty (devices).
    pub parent_scopes: Option<String>,
}

#[cfg(test)]
impl IdentityRow {
    /// An enabled identity of a test, that proves itself by nothing.
    pub(crate) fn example(hub: &str, device: &str, module: Option<&str>) -> Self {
        Self {
            id: 0,
            hub: hub.parse().unwrap(),
            device_id: device.parse().unwrap(),
            module_id: module.map(|module| module.parse().unwrap()),
            generation_id: GenerationId::from_number(1),
            revision: 1,
            enabled: true,
            status_reason: None,
            status_updated: 0,
            auth_kind: AuthKind::None,
            auth_primary: None,
            auth_secondary: None,
            iot_edge: false,
            managed_by: None,
            device_scope: None,
            parent_scopes: None,
        }
    }
}

impl IdentityRow {
    #[must_use]
    pub fn key(&self) -> IdentityKey<'_> {
        IdentityKey {
            hub: &self.hub,
            device_id: &self.device_id,
            module_id: self.module_id.as_ref(),
        }
    }

    #[must_use]
    pub fn identity(&self) -> Identity {
        Identity {
            hub: self.hub.clone(),
            device: self.device_id.clone(),
            module: self.module_id.clone(),
        }
    }
}

/// How an identity proves itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthKind {
    /// By tokens that a symmetric key signs.
    Sas,
    /// By a certificate of one of two thumbprints.
    SelfSigned,
    /// By a certificate of a CA.
    CertificateAuthority,
    None,
}

impl AuthKind {
    const ALL: [Self; 4] = [
        Self::Sas,
        Self::SelfSigned,
        Self::CertificateAuthority,
        Self::None,
    ];

    /// As the service API spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sas => "sas",
            Self::SelfSigned => "selfSigned",
            Self::CertificateAuthority => "certificateAuthority",
            Self::None => "none",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A row of a list. One that cannot be read keeps its place, so that the others are listed.
#[derive(Debug)]
pub struct Listed<T> {
    /// As it is stored, also when it is not a device id.
    pub device_id: String,
    /// As it is stored; empty for the device itself.
    pub module_id: String,
    pub row: Result<T, StoreError>,
}

/// How many devices and modules a hub has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IdentityCounts {
    pub devices: u64,
    /// Devices that may connect.
    pub enabled: u64,
    pub modules: u64,
}

/// Tells whether an identity or its twin has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdentityVersion {
    /// Row id.
    pub id: i64,
    pub revision: i64,
    pub twin_version: u64,
}
