//! The TPM service of the device, on its own socket.

use serde::{Deserialize, Serialize};

use crate::binary::Base64Bytes;

/// The versions that are answered.
pub const API_VERSIONS: [&str; 2] = ["2020-09-01", "2020-10-15"];

/// The answer to `GET /get_tpm_keys`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TpmKeysResponse {
    /// The endorsement key, a `TPM2B_PUBLIC`.
    pub endorsement_key: Base64Bytes,
    /// The storage root key, a `TPM2B_PUBLIC`.
    pub storage_root_key: Base64Bytes,
}

/// The body of `POST /import_auth_key`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportAuthKeyRequest {
    /// What a provisioning service wrapped for the TPM.
    pub key: Base64Bytes,
}

/// The body of `POST /sign_with_auth_key`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignWithAuthKeyRequest {
    /// What to sign.
    pub data: Base64Bytes,
}

/// The answer to `POST /sign_with_auth_key`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignWithAuthKeyResponse {
    /// The HMAC-SHA256 of the data.
    pub digest: Base64Bytes,
}
