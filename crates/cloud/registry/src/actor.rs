use std::net::IpAddr;
use std::sync::Arc;

use ids::Timestamp;

/// Who does an administrative act, by what right, from where and when: what the audit says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The shared access policy whose key signed the request.
    pub policy: String,
    /// The request, as its sender was told.
    pub request_id: String,
    /// Where it came from, when a door knows.
    pub address: Option<IpAddr>,
    /// When it came.
    pub at: Timestamp,
}

/// Told, as an extension of a request, when the caller has proved who it is: what it sends from then on is no stranger's.
#[derive(Clone)]
pub struct OnProof(pub Arc<dyn Fn() + Send + Sync>);

/// Where a connection comes from: the peer of its socket, as an extension of its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);
