use ids::Timestamp;
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

/// `POST /modules/{m}/genid/{g}/encrypt`: encrypt for the module. All bytes are base64.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EncryptRequest {
    /// What to encrypt.
    pub plaintext: String,
    /// Of any length; the same has to be given to decrypt.
    pub initialization_vector: String,
}

/// The answer to [`EncryptRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncryptResponse {
    /// What only the same module decrypts.
    pub ciphertext: String,
}

/// `POST /modules/{m}/genid/{g}/decrypt`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecryptRequest {
    /// What was encrypted.
    pub ciphertext: String,
    /// That with which it was encrypted.
    pub initialization_vector: String,
}

/// The answer to [`DecryptRequest`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecryptResponse {
    /// What was encrypted.
    pub plaintext: String,
}

/// `GET /trust-bundle` and `/manifest-trust-bundle`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustBundle {
    /// PEM certificates, one after another; may be empty.
    pub certificate: String,
}

/// `POST /modules/{m}/genid/{g}/certificate/server`: a certificate by which the module is a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerCertificateRequest {
    /// The host name or address of the server.
    pub common_name: String,
    /// Until when it is valid; shorter where the Edge CA ends before.
    #[serde(default)]
    pub expiration: Option<Timestamp>,
}

/// `POST /modules/{m}/certificate/identity`: a certificate that names the module.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IdentityCertificateRequest {
    /// As in [`ServerCertificateRequest`].
    #[serde(default)]
    pub expiration: Option<Timestamp>,
}

/// The answer to both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateResponse {
    /// The key of the certificate.
    pub private_key: PrivateKey,
    /// PEM: the certificate, followed by the Edge CA's and those above it.
    pub certificate: String,
    /// The last second of its validity.
    pub expiration: Timestamp,
}

/// A private key in an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrivateKey {
    /// `key`: the key itself, and no reference to it.
    #[serde(rename = "type")]
    pub kind: String,
    /// PEM.
    pub bytes: String,
}
