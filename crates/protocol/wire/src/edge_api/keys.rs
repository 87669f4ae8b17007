//! The Keys API of a device, `keyd.sock`: Azure's requests, and what Muster adds under `/muster`.
//!
//! All bytes are base64. A handle stands for a key and for the right to use it.

use serde::{Deserialize, Serialize};

/// The version that our own client asks for.
pub const API_VERSION: &str = "2021-05-01";
/// All versions that are answered.
pub const API_VERSIONS: [&str; 2] = ["2020-09-01", API_VERSION];

/// `POST /keypair`: opens a key pair, or makes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MakeKeyPair {
    /// Its name on the device: `device-id`.
    pub key_id: String,
    /// Kinds with colons between them, the first that is possible is made: `ec-p256:rsa-2048:*`.
    #[serde(default, alias = "preferred_algorithms")]
    pub preferred_algorithms: Option<String>,
}

/// `POST /keypair/{id}`: gives a key pair another id, in the place of what had it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoveKeyPair {
    /// The id that it has.
    pub from: String,
}

/// `POST /key`: opens a symmetric key, or makes or imports it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MakeKey {
    /// Its name on the device.
    pub key_id: String,
    /// What it is for, with commas between: of `derive`, `encrypt`, `sign`.
    #[serde(default)]
    pub usage: Option<String>,
    /// The key to import.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_bytes: Option<String>,
}

/// `POST /derivedkey`: a key that is computed from another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeriveKey {
    /// The handle of the key that it is computed from.
    pub base_key_handle: String,
    /// What makes it differ from others.
    pub derivation_data: String,
}

/// The answer to what opens a key, and the body of what uses or deletes one.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyHandle {
    /// Opaque.
    pub key_handle: String,
}

/// The answer to `POST /derivedkey/export`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportedKey {
    /// The key itself.
    pub key: String,
}

/// The answer to `POST /parameters/{name}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameter {
    /// `RSA`, `ECDSA`, or bytes.
    pub value: String,
}

/// `POST /sign`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sign {
    /// Of the key that signs.
    pub key_handle: String,
    /// How.
    #[serde(flatten)]
    pub how: SignAlgorithm,
}

/// The algorithms of [`Sign`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "algorithm", content = "parameters")]
pub enum SignAlgorithm {
    /// A key pair signs a digest.
    #[serde(rename = "ECDSA")]
    Ecdsa {
        /// As long as the hash function of the curve gives it.
        digest: String,
    },
    /// A symmetric key signs a message.
    #[serde(rename = "HMAC-SHA256")]
    HmacSha256 {
        /// Of any length.
        message: String,
    },
}

/// The answer to [`Sign`] and [`SignWithScheme`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// DER for ECDSA.
    pub signature: String,
}

/// `POST /encrypt`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Encrypt {
    /// Of the key that encrypts.
    pub key_handle: String,
    /// How.
    #[serde(flatten)]
    pub how: Encryption,
    /// What to encrypt.
    pub plaintext: String,
}

/// `POST /decrypt`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decrypt {
    /// Of the key that encrypted.
    pub key_handle: String,
    /// How.
    #[serde(flatten)]
    pub how: Encryption,
    /// What to decrypt.
    pub ciphertext: String,
}

/// The algorithms of [`Encrypt`] and [`Decrypt`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "algorithm", content = "parameters")]
pub enum Encryption {
    /// A symmetric key encrypts and authenticates.
    #[serde(rename = "AEAD")]
    Aead {
        /// The initialization vector.
        iv: String,
        /// What is authenticated too.
        aad: String,
    },
    /// The private key's operation of PKCS#1 1.5, by which TLS libraries sign.
    #[serde(rename = "RSA-PKCS1")]
    RsaPkcs1,
    /// The private key's operation on a block that the caller has padded.
    #[serde(rename = "RSA-NO-PADDING")]
    RsaNoPadding,
}

/// The answer to [`Encrypt`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ciphertext {
    /// What only the same key decrypts.
    pub ciphertext: String,
}

/// The answer to [`Decrypt`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plaintext {
    /// What was encrypted.
    pub plaintext: String,
}

/// `POST /muster/keypair`, with a [`KeyHandle`]: what is public of a key pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyPairDescription {
    /// `P-256`, `P-384`, `P-521`, `Ed25519` or `RSA`.
    pub kind: String,
    /// The content of the BIT STRING of its SubjectPublicKeyInfo.
    pub public_key: String,
    /// Where the key is, for people.
    pub place: String,
}

/// `POST /muster/key`, with a [`KeyHandle`]: what is public of a symmetric key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyDescription {
    /// Hexadecimal digits that another key does not have.
    pub fingerprint: String,
    /// Where the key is, for people.
    pub place: String,
}

/// `POST /muster/sign`: signs with any scheme of TLS and certificates.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SignWithScheme {
    /// Of the key that signs.
    pub key_handle: String,
    /// As TLS names it: `rsa_pss_rsae_sha256`.
    pub scheme: String,
    /// The digest of a message; the message itself for `ed25519`.
    pub input: String,
}

/// The answer to `GET /muster/token`, or `null` when keys are made in files: the PKCS#11 token in
/// which keys are made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenDescription {
    /// The file of the library.
    pub library: String,
    /// Who made the library, what it is, and its version.
    pub about: String,
    /// The number of the slot.
    pub slot: u64,
    /// The label of the token.
    pub token: String,
    /// The mechanisms that keys are made and used with: `CKM_ECDSA`.
    pub mechanisms: Vec<String>,
}

/// The body of every refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// A description of the error for people.
    pub message: String,
    /// What kind of error it is; Azure's services have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<RefusalKind>,
    /// The key that is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
}

/// The kinds of errors that a client tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RefusalKind {
    /// There is no such key.
    NotFound,
    /// The request asks for what the key does not do.
    Invalid,
    /// The caller has no right to the key.
    Forbidden,
    /// The key's place does not answer, or its file is damaged.
    Unavailable,
}
