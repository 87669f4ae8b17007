//! `/muster/v1/audit`: what was done and decided on the server.

use ids::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A record of `GET /muster/v1/audit`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditDocument {
    /// `acts`, `decisions` or `refusals`.
    pub stream: String,
    /// The number of the record in its stream.
    pub number: u64,
    /// Time in UTC, RFC 3339.
    pub time: Timestamp,
    /// `kind`, and members that depend on it.
    pub body: Value,
    /// The hash chain up to this record, hexadecimal.
    pub hash: String,
}
