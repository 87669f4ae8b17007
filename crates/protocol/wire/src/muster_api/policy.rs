//! `/muster/v1/dps/policies`: the shared access policies of a provisioning service.

use serde::{Deserialize, Serialize};

/// `PUT /muster/v1/dps/policies/{keyName}`: a new policy.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyRequest {
    /// The names of its rights, for example `EnrollmentRead`.
    pub rights: Vec<String>,
    /// Base64; generated when left out.
    #[serde(default)]
    pub primary_key: Option<String>,
    /// Base64; generated when left out.
    #[serde(default)]
    pub secondary_key: Option<String>,
}

/// A shared access policy. Keys are left out in lists.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyDocument {
    /// `SharedAccessKeyName` of its connection strings.
    pub key_name: String,
    /// The names of its rights, for example `EnrollmentRead`.
    pub rights: Vec<String>,
    /// The bytes, encoded as base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary_key: Option<String>,
    /// The bytes, encoded as base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secondary_key: Option<String>,
}

/// The body of `POST /muster/v1/dps/policies/{keyName}/regenerateKey`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RegenerateRequest {
    /// The key to replace, or an exchange of both.
    pub key: KeyKind,
}

/// The key of a policy that is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum KeyKind {
    /// A new primary key is generated.
    Primary,
    /// A new secondary key is generated.
    Secondary,
    /// The two change places.
    Swap,
}

impl std::fmt::Debug for PolicyRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PolicyRequest")
            .field("rights", &self.rights)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for PolicyDocument {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PolicyDocument")
            .field("key_name", &self.key_name)
            .field("rights", &self.rights)
            .finish_non_exhaustive()
    }
}
