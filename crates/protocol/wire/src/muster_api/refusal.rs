//! `/muster/v1/dps/refusals`: the devices that were refused, and why.

use ids::{RegistrationId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A certificate that a device presented.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SeenCertificate {
    /// Distinguished name of its subject.
    pub subject: String,
    /// Distinguished name of its issuer.
    pub issuer: String,
    /// Upper-case hexadecimal, without separators.
    pub sha256_thumbprint: String,
    /// `notBefore` of its validity.
    pub not_before_utc: Timestamp,
    /// `notAfter` of its validity.
    pub not_after_utc: Timestamp,
}

/// Why a registration is refused, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RefusalReport {
    /// Stable name, listed in `docs/reason-codes.md`.
    pub reason: String,
    /// In words, with what to do.
    pub message: String,
    /// The enrollment that decided, such as `enrollment group factory-a`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrollment: Option<String>,
    /// The certificates presented, leaf first.
    pub chain: Vec<SeenCertificate>,
}

/// A stored refusal, as `GET /muster/v1/dps/refusals` lists it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RefusalDocument {
    /// The registration id that the device gave.
    pub registration_id: RegistrationId,
    /// Six digits: `errorCode` of the answer to the device.
    pub error_code: u32,
    /// How many such refusals there were between the two moments.
    pub times: u64,
    /// The first of them.
    pub first_date_time_utc: Timestamp,
    /// The last of them.
    pub last_date_time_utc: Timestamp,
    /// A [`RefusalReport`], as it was stored.
    #[serde(flatten)]
    pub report: Value,
}
