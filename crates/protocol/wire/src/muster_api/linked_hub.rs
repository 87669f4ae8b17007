//! `/muster/v1/dps/linkedHubs`: the hubs that a provisioning service assigns devices to.

use ids::{HubHost, HubName, Network, Timestamp};
use serde::{Deserialize, Serialize};

use crate::connection_string::ConnectionString;

/// `PUT /muster/v1/dps/linkedHubs/{name}`. What is left out stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LinkRequest {
    /// Of a policy of the hub with the rights `RegistryWrite` and `ServiceConnect`, and
    /// `RegistryRead` for a remote hub.
    pub connection_string: Option<ConnectionString>,
    /// 1 to 1000: shares of the policy `hashed`.
    pub allocation_weight: Option<i64>,
    /// Whether allocation policies may choose it.
    pub apply_allocation_policy: Option<bool>,
    /// Round trips for the policy `geoLatency`; replaces all that are stored.
    pub latencies: Option<Vec<Latency>>,
}

/// Most entries of `latencies`.
pub const MAX_LATENCIES: usize = 256;

/// How long the round trip from a network to a hub takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latency {
    /// Clients by their addresses, for example `10.0.0.0/8`.
    pub network: Network,
    /// Duration of a round trip.
    pub milliseconds: u32,
}

/// The server of a linked hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HubLocation {
    /// The hub lives on this server.
    Here,
    /// The hub lives on another server.
    Remote,
}

/// A linked hub, as `GET` and `PUT` answer it; without its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LinkedHubDocument {
    /// As paths and enrollments name the hub.
    pub name: HubName,
    /// `host` or `host:port` that devices are assigned to.
    pub host_name: HubHost,
    /// The server of the hub.
    pub location: HubLocation,
    /// 1 to 1000: shares of the policy `hashed`.
    pub allocation_weight: u16,
    /// Whether allocation policies may choose it.
    pub apply_allocation_policy: bool,
    /// Round trips for the policy `geoLatency`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub latencies: Vec<Latency>,
    /// By the calls to it.
    pub health: HubHealth,
}

/// The health of a linked hub, by the calls to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HubHealth {
    /// The state, which decides whether it gets new devices.
    pub state: HubState,
    /// The first call that failed since the last one that succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since_utc: Option<Timestamp>,
    /// Calls that failed since then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures: Option<u32>,
    /// The error of the last failed call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Devices that are still to be removed, disabled or enabled there.
    pub remote_tasks: u64,
}

/// Whether a linked hub gets new devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HubState {
    /// The last call succeeded.
    Healthy,
    /// Calls fail, not yet often and long enough.
    Suspect,
    /// Calls fail: the hub gets no new devices.
    Unhealthy,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::muster_api::parse;

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
