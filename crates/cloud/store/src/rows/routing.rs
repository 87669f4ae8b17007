use ids::EndpointName;

use crate::Secret;

/// The routing of a hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutingRow {
    /// Counts its versions, from 1.
    pub revision: i64,
    /// JSON: endpoints with their keys, routes, enrichments.
    pub document: Secret,
    /// When it was last written, 100 ns since 1970.
    pub updated: i64,
}

/// How far an endpoint is in the event log of its hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointCursorRow {
    pub endpoint: EndpointName,
    /// The offset up to which everything was delivered or given up.
    pub position: u64,
    /// Events that were delivered.
    pub delivered: u64,
    /// Events that the endpoint refused for good.
    pub dead_lettered: u64,
    /// Events that were gone before they could be delivered.
    pub missed: u64,
}
