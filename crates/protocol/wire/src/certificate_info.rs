//! What documents say of a certificate.

use ids::Timestamp;
use serde::{Deserialize, Serialize};

/// The main fields of a certificate. Azure's clients require all eight members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateInfo {
    /// Distinguished name of the subject, such as `CN=edge-001`.
    pub subject_name: String,
    /// Upper-case hexadecimal, without separators.
    pub sha1_thumbprint: String,
    /// Upper-case hexadecimal, without separators.
    pub sha256_thumbprint: String,
    /// Distinguished name of the issuer.
    pub issuer_name: String,
    /// The first second of validity.
    pub not_before_utc: Timestamp,
    /// The last second of validity.
    pub not_after_utc: Timestamp,
    /// Upper-case hexadecimal, without separators.
    pub serial_number: String,
    /// 3 for every certificate of today.
    pub version: i32,
}
