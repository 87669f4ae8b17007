use crate::Secret;

/// Names a device (`module_id` empty) or a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdentityKey<'a> {
    pub hub: &'a str,
    pub device_id: &'a str,
    /// The module, or an empty text for the device.
    pub module_id: &'a str,
}

/// A device or module without its twin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityRow {
    /// Row id; 0 before it is inserted.
    pub id: i64,
    pub hub: String,
    pub device_id: String,
    /// The module, or an empty text for the device.
    pub module_id: String,
    pub generation_id: String,
    pub revision: i64,
    /// Whether it may connect (devices).
    pub enabled: bool,
    pub status_reason: Option<String>,
    /// When `enabled` last changed, 100 ns since 1970 (devices).
    pub status_updated: i64,
    /// `sas`, `selfSigned`, `certificateAuthority` or `none`.
    pub auth_kind: String,
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
