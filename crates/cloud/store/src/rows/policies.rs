use crate::Secret;

/// A shared access policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyRow {
    pub name: String,
    /// The primary key, encoded as base64.
    pub primary_key: Secret,
    /// The secondary key, encoded as base64.
    pub secondary_key: Secret,
    /// Names of rights, separated by commas.
    pub rights: String,
}
