use std::net::IpAddr;

use ids::Timestamp;

/// Who does an administrative act, by what right, from where and when: what the audit says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The shared access policy whose key signed the request.
    pub policy: String,
    /// The request, as its sender was told.
    pub request_id: String,
    /// Where it came from, when it is known.
    pub address: Option<IpAddr>,
    pub at: Timestamp,
}
