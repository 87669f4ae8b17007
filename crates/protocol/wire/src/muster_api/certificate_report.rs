//! `/muster/v1/dps/certificate-report`: kinds of keys and signatures, and when certificates expire.

use ids::{Thumbprint, Timestamp};
use serde::Serialize;

/// Which certificates a row counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ReportSource {
    /// Issued by the issuers of the service.
    Issued,
    /// Presented by devices at their last registration, of any issuer.
    Presented,
}

/// Certificates by their end. Each is counted once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExpiryCounts {
    /// Ended.
    pub expired: u64,
    /// End in less than 7 days.
    pub within_7_days: u64,
    /// In 7 to 30 days.
    pub within_30_days: u64,
    /// In 30 to 90 days.
    pub within_90_days: u64,
    /// In 90 to 365 days.
    pub within_365_days: u64,
    /// Later.
    pub later: u64,
}

/// Certificates that have everything but their expiry in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportRow {
    /// Which certificates.
    pub source: ReportSource,
    /// The name of the issuer, or the distinguished name that presented certificates have as
    /// their issuer. Absent where rows are summed up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Whether subject and issuer are the same name, as in leaves that sign themselves.
    pub self_issued: bool,
    /// SHA-256 of the CA certificate that signed, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authority_sha256_thumbprint: Option<Thumbprint>,
    /// `P-256`, `P-384`, `RSA`, …. Absent where it was not stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_type: Option<String>,
    /// The length of RSA keys in bits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_bits: Option<u32>,
    /// `ECDSA-SHA256`, `RSA-SHA256`, …. Absent where it was not stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature_algorithm: Option<String>,
    /// All of them.
    pub certificates: u64,
    /// Those on hold. Of presented certificates that is not counted.
    pub held: u64,
    /// Revoked ones. Of presented certificates that is not counted.
    pub revoked: u64,
    /// The others, by their end.
    pub expires: ExpiryCounts,
}

/// The report of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateReport {
    /// The moment that ends are counted from.
    pub generated_date_time_utc: Timestamp,
    /// The rows with most certificates first, those of issuers before what was presented.
    pub rows: Vec<ReportRow>,
    /// Registrations of devices that presented no certificate: keys and TPMs.
    pub without_certificate: u64,
}
