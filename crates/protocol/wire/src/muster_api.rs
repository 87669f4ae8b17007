//! Muster's own operator API under `/muster/v1`, a file a noun: what Azure does not have, or keeps
//! in its resource manager.
//!
//! Names of members are those of `az iot`. Unknown members are errors.

use serde::de::DeserializeOwned;

pub mod audit;
pub mod block;
pub mod certificate_log;
pub mod certificate_report;
pub mod consumer_group;
pub mod explain;
pub mod hub;
pub mod issued_certificate;
pub mod issuer;
pub mod linked_hub;
pub mod policy;
pub mod refusal;
pub mod revocation;
pub mod rollout;
pub mod routing;
pub mod service;
pub mod trust_bundle;

/// Largest body of settings that is read, bytes.
pub const MAX_BODY: usize = 16 * 1024;

/// Why a body is not understood: serde's words, with line and column.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the body is not understood: {0}")]
pub struct OwnBodyError(String);

/// Reads a request body. A byte order mark before it is skipped.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, OwnBodyError> {
    let body = crate::lenient::without_bom(body);
    serde_json::from_slice(body).map_err(|error| OwnBodyError(error.to_string()))
}
