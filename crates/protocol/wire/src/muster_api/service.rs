//! `/muster/v1/services`: the provisioning services of the server; `/muster/v1/dps/settings`: those
//! of the caller's own.

use ids::{HubHost, HubName, IdScope, ServiceName};
use serde::{Deserialize, Serialize};

use crate::service_api::enrollment::AllocationPolicy;

/// A provisioning service of the server, as `GET` and `PUT` answer it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceDocument {
    /// The name of the service in paths.
    pub name: ServiceName,
    /// `idScope` that its devices register with.
    pub id_scope: IdScope,
    /// `host` or `host:port` of its service API.
    pub service_operations_host_name: HubHost,
    /// Of enrollments that name none.
    pub allocation_policy: AllocationPolicy,
    /// The hubs that it assigns devices to.
    pub linked_hubs: Vec<HubName>,
    /// Of the policy `provisioningserviceowner`. Left out in lists and in
    /// the service's own settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_string: Option<String>,
}

/// The body of `PATCH /muster/v1/dps/settings`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SettingsPatch {
    /// Of enrollments that name none.
    pub allocation_policy: AllocationPolicy,
}
