use ids::{HubHost, HubName};

use crate::Secret;

/// A hub: one of this directory, or a remote one that a service here is linked to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubRow {
    pub name: HubName,
    pub host: HubHost,
    /// What opens the service API of a remote hub. `None` for a hub of this directory.
    pub remote: Option<RemoteAccessRow>,
}

/// A shared access policy of a remote hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteAccessRow {
    pub policy: String,
    /// Encoded as base64.
    pub key: Secret,
}

/// A service's link to a hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkRow {
    pub hub: HubRow,
    /// 1 to 1000.
    pub allocation_weight: Option<u16>,
    /// Whether allocation policies may choose it.
    pub apply_allocation_policy: bool,
    /// How far clients are from it, by their network: a JSON array.
    pub latencies: Option<String>,
}
