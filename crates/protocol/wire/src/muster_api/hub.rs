//! `/muster/v1/hubs`: the hubs that live on the server.

use ids::{HubHost, HubName, ServiceName};
use serde::{Deserialize, Serialize};

/// `PUT /muster/v1/hubs/{name}` and `PUT /muster/v1/services/{name}`: where the new one is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostRequest {
    /// `host`, or `host:port` when its port is not the server's.
    pub host_name: HubHost,
}

/// A hub of the server, as `GET` and `PUT` answer it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HubDocument {
    /// As paths and links name the hub.
    pub name: HubName,
    /// `host` or `host:port` that devices and back ends reach it at.
    pub host_name: HubHost,
    /// The provisioning services that it is linked to.
    pub linked_by: Vec<ServiceName>,
    /// Of the policy `iothubowner`. Left out in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_string: Option<String>,
}
