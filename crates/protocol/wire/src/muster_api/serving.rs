//! Muster's own operator API under `/muster/v1`: hubs, linked hubs, settings, policies and
//! provisioning services.
//!
//! What Azure keeps behind its resource manager. Names of members are those of `az iot`. Unknown
//! members are errors.

use ids::{HubHost, HubName, IdScope, Network, ServiceName, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::connection_string::ConnectionString;
use crate::service_api::enrollment::AllocationPolicy;

/// Largest body that is read, bytes.
pub const MAX_BODY: usize = 16 * 1024;

/// Why a body is not understood: serde's words, with line and column.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the body is not understood: {0}")]
pub struct ServingBodyError(String);

/// Reads a request body.
///
/// # Errors
/// When it is not JSON of that form.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ServingBodyError> {
    let body = crate::lenient::without_mark(body);
    serde_json::from_slice(body).map_err(|error| ServingBodyError(error.to_string()))
}

/// `PUT /muster/v1/hubs/{name}` and `PUT /muster/v1/services/{name}`: where the new one is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostRequest {
    /// `host`, or `host:port` when its port is not the server's.
    pub host_name: HubHost,
}

/// A hub of the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HubDocument {
    /// Its name.
    pub name: HubName,
    /// Where it is reached.
    pub host_name: HubHost,
    /// Names of the provisioning services that it is linked to.
    pub linked_by: Vec<ServiceName>,
    /// Its owner's. Left out in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_string: Option<String>,
}

/// A provisioning service of the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceDocument {
    /// Its name.
    pub name: ServiceName,
    /// What its devices name it by.
    pub id_scope: IdScope,
    /// Where its service API is reached.
    pub service_operations_host_name: HubHost,
    /// How a hub is chosen for enrollments that do not say.
    pub allocation_policy: AllocationPolicy,
    /// Names of its linked hubs.
    pub linked_hubs: Vec<HubName>,
    /// Its owner's. Left out in lists and in the service's own settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_string: Option<String>,
}

/// `PATCH /muster/v1/dps/settings`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SettingsPatch {
    /// How a hub is chosen for enrollments that do not say.
    pub allocation_policy: AllocationPolicy,
}

/// `PUT /muster/v1/dps/linkedHubs/{name}`. What is left out stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LinkRequest {
    /// The hub's, with the rights `RegistryWrite` and `ServiceConnect`, and `RegistryRead` for a
    /// remote hub.
    pub connection_string: Option<ConnectionString>,
    /// 1 to 1000.
    pub allocation_weight: Option<i64>,
    /// Whether allocation policies may choose it.
    pub apply_allocation_policy: Option<bool>,
    /// How far clients are from it; replaces all that was said.
    pub latencies: Option<Vec<Latency>>,
}

/// Most networks of a link.
pub const MAX_LATENCIES: usize = 256;

/// How far the clients of a network are from a hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latency {
    /// Whose addresses.
    pub network: Network,
    /// How long a round trip takes them.
    pub milliseconds: u32,
}

/// Where a linked hub lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HubLocation {
    /// On this server.
    Here,
    /// On another server.
    Remote,
}

/// A linked hub. Its key is not told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LinkedHubDocument {
    /// Its name.
    pub name: HubName,
    /// Where devices reach it.
    pub host_name: HubHost,
    /// Where it lives.
    pub location: HubLocation,
    /// 1 to 1000.
    pub allocation_weight: u16,
    /// Whether allocation policies may choose it.
    pub apply_allocation_policy: bool,
    /// How far clients are from it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub latencies: Vec<Latency>,
    /// How it is.
    pub health: HubHealth,
}

/// How a linked hub is: what calls to it came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HubHealth {
    /// What follows from them.
    pub state: HubState,
    /// The first call that failed since the last answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since_utc: Option<Timestamp>,
    /// How many have failed since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures: Option<u32>,
    /// What the last one came to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Devices that are still to be removed, disabled or enabled there.
    pub remote_tasks: u64,
}

/// Whether a linked hub gets devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HubState {
    /// The last call came through.
    Healthy,
    /// Calls fail, not yet often and long enough.
    Suspect,
    /// It gets no new devices.
    Dead,
}

/// `PUT /muster/v1/dps/policies/{keyName}`: a new policy.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyRequest {
    /// Names of rights.
    pub rights: Vec<String>,
    /// Base64; generated when left out.
    #[serde(default)]
    pub primary_key: Option<String>,
    /// Base64; generated when left out.
    #[serde(default)]
    pub secondary_key: Option<String>,
}

/// A shared access policy. Keys are left out in lists.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyDocument {
    /// Its name.
    pub key_name: String,
    /// Names of rights.
    pub rights: Vec<String>,
    /// Base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary_key: Option<String>,
    /// Base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secondary_key: Option<String>,
}

/// `POST /muster/v1/dps/policies/{keyName}/regenerateKey`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RegenerateRequest {
    /// Which.
    pub key: KeyKind,
}

/// Which key of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum KeyKind {
    /// A fresh primary key.
    Primary,
    /// A fresh secondary key.
    Secondary,
    /// The two change places.
    Swap,
}

impl std::fmt::Debug for PolicyRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PolicyRequest")
            .field("rights", &self.rights)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for PolicyDocument {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PolicyDocument")
            .field("key_name", &self.key_name)
            .field("rights", &self.rights)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_member_is_named_with_its_place() {
        let error = parse::<LinkRequest>(b"{\"weight\": 3}").unwrap_err();
        let text = error.to_string();
        assert!(text.contains("weight") && text.contains("line 1"), "{text}");
        assert_eq!(parse::<LinkRequest>(b"{}").unwrap(), LinkRequest::default());
    }

    #[test]
    fn a_key_in_a_body_is_not_repeated() {
        let body =
            "{\"connectionString\": \"HostName=h;SharedAccessKeyName=p;SharedAccessKey=c2VjcmV0\"}";
        let text = parse::<LinkRequest>(body.as_bytes())
            .unwrap_err()
            .to_string();
        assert!(
            text.contains("SharedAccessKey") && !text.contains("c2VjcmV0"),
            "{text}"
        );
    }

    #[test]
    fn members_are_spelled_as_az_spells_them() {
        let document = LinkedHubDocument {
            name: HubName::parse("hub").unwrap(),
            host_name: HubHost::parse("h.example").unwrap(),
            location: HubLocation::Here,
            allocation_weight: 1,
            apply_allocation_policy: true,
            latencies: Vec::new(),
            health: HubHealth {
                state: HubState::Healthy,
                failing_since_utc: None,
                failures: None,
                last_error: None,
                remote_tasks: 0,
            },
        };
        let expected = serde_json::json!({
            "name": "hub", "hostName": "h.example", "location": "here", "allocationWeight": 1,
            "applyAllocationPolicy": true, "health": {"state": "healthy", "remoteTasks": 0},
        });
        assert_eq!(serde_json::to_value(document).unwrap(), expected);
    }
}
