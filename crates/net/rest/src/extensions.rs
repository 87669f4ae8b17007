use std::net::IpAddr;
use std::sync::Arc;

use axum::http::request::Parts;
use uuid::Uuid;

/// Request extension: where the connection comes from, the peer of its socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    /// The address that the transport put beside a request.
    #[must_use]
    pub fn of(parts: &Parts) -> Option<IpAddr> {
        let address = parts.extensions.get::<Self>();
        address.map(|Self(address)| *address)
    }
}

/// Request extension: called once the caller has proved who it is, before its body is read. The
/// transport bounds what unproven clients may cost.
#[derive(Clone)]
pub struct OnProof(pub Arc<dyn Fn() + Send + Sync>);

impl OnProof {
    /// Tells the transport of a request, if it wants to know, that its caller is proven.
    pub fn notify(parts: &Parts) {
        if let Some(Self(notify)) = parts.extensions.get() {
            notify();
        }
    }
}

/// Names one request in the header `x-ms-request-id`, in error bodies, in the log and in the audit.
/// A random GUID, as Azure's are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestId(Uuid);

impl RequestId {
    /// A fresh one, see [`fresh_guid`].
    #[must_use]
    pub fn fresh() -> Self {
        Self(fresh_guid())
    }
}

/// A random GUID from this thread's generator: a system call for each would cost more than the rest
/// of the routing.
#[must_use]
pub fn fresh_guid() -> Uuid {
    uuid::Builder::from_random_bytes(rand::random()).into_uuid()
}

impl std::fmt::Display for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}
