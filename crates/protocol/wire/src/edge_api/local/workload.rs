use serde::{Deserialize, Serialize};

/// `POST /modules/{m}/genid/{g}/sign`: sign `data` with the module's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SignRequest {
    /// The name of the key: `primary`.
    pub key_id: String,
    /// How: `HMACSHA256`, in any case.
    pub algo: String,
    /// Base64 of what is to be signed.
    pub data: String,
}

/// The answer to [`SignRequest`]: the signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignResponse {
    /// The bytes, encoded as base64.
    pub digest: String,
}

/// `GET /trust-bundle` and `/manifest-trust-bundle`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustBundle {
    /// PEM certificates, one after another; may be empty.
    pub certificate: String,
}
