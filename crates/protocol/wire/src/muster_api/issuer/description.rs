use ids::{CertificateName, IssuerName, Timestamp};
use serde::Serialize;

use super::{IssuerProfile, IssuerSettings};
use crate::certificate_info::CertificateInfo;
use crate::etag::QuotedEtag;

/// An issuer, as `GET` and `PUT` answer it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IssuerDescription {
    /// The name by which enrollments refer to it.
    pub name: IssuerName,
    /// The kind of issuer, always [`MUSTER_CA_TYPE`](super::MUSTER_CA_TYPE).
    pub certificate_authority_type: &'static str,
    /// `profile`, `validityDays` and `keyTypes`: what the issuer issues.
    #[serde(flatten)]
    pub profile: IssuerProfile,
    /// `default`, `serverKeyGeneration`, `noCrl` and `pinnedCertificates`: how it does so.
    #[serde(flatten)]
    pub settings: IssuerSettings,
    /// Names of the CA certificates whose devices may have certificates issued.
    pub trusts: Vec<CertificateName>,
    /// Where the issuing key is.
    #[serde(flatten)]
    pub key_storage: IssuerKeyStorage,
    /// The CA certificate in words.
    pub certificate_info: CertificateInfo,
    /// PEM of the CA certificate and those above it.
    pub certificate: String,
    /// The version, for `If-Match` of the next write.
    pub etag: QuotedEtag,
    /// Time in UTC, RFC 3339.
    pub created_date_time_utc: Timestamp,
    /// Time in UTC, RFC 3339.
    pub last_modified_date_time_utc: Timestamp,
}

/// `keyStorage`: where an issuing key is.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(
    tag = "keyStorage",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum IssuerKeyStorage {
    /// In a file that only the owner of the data directory may read.
    File,
    /// In such a file, encrypted under the passphrase that the server was started with.
    SealedFile,
    /// In a PKCS#11 token.
    Token {
        /// The key, without a PIN.
        pkcs11_uri: String,
        /// The file of the PKCS#11 library.
        pkcs11_library: String,
        /// Whether the PIN is encrypted under the server's passphrase.
        pin_sealed: bool,
    },
    /// The key file is missing: the issuer does not issue.
    Missing,
}

/// All issuers of a service, at our own path.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IssuerList {
    /// In the order of their names.
    pub value: Vec<IssuerDescription>,
}
