use crate::Secret;

/// A hub: one of this directory, or a remote one that a service here is linked to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubRow {
    pub name: String,
    /// `host` or `host:port`.
    pub host: String,
    /// What opens the service API of a remote hub: name and key of a policy. `None` for a
    /// hub of this directory.
    pub remote: Option<(String, Secret)>,
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
