//! `/muster/v1/dps/issuers/{name}/log`: the log of the certificates that a service has issued.

use serde::Serialize;

/// The head of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogDocument {
    /// The name of the log: `muster/` and the ID scope.
    pub origin: String,
    /// The public key, as verifiers keep it (c2sp.org/signed-note).
    pub public_key: String,
    /// How many certificates are in the log.
    pub size: u64,
    /// A signed checkpoint (c2sp.org/tlog-checkpoint).
    pub checkpoint: String,
}

/// That a certificate is in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogProofDocument {
    /// The place of the certificate, from 0.
    pub index: u64,
    /// How many certificates the proven log has.
    pub size: u64,
    /// A text of the form c2sp.org/tlog-proof.
    pub proof: String,
}

/// That the log begins with an earlier one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogConsistencyDocument {
    /// How many certificates the earlier log had.
    pub from: u64,
    /// How many it has now.
    pub size: u64,
    /// The hashes of the proof, base64, a line for each.
    pub consistency: String,
    /// The signed checkpoint of now.
    pub checkpoint: String,
}
