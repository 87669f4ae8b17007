//! `/muster/v1/hub/routing`: which events of a hub go to which endpoints. Azure keeps this in its
//! resource manager (`properties.routing` of an IoT hub); names and shapes are those.

use ids::{EndpointName, RouteName, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::service_api::allocation::WebhookUrl;
use crate::service_api::identity::KeyText;
use crate::telemetry::EventSource;

mod nats;
mod test;

pub use nats::{NatsEndpoint, NatsPassword, NatsSubject, NatsUrl, NatsUrlError};
pub use test::{
    CompilationError, Location, MatchedRoute, Position, TestDetails, TestMessage, TestResult,
    TestRouteRequest, TestRoutesRequest, TestRoutesResult,
};

/// Largest body that is read, bytes: 100 routes with long conditions.
pub const MAX_ROUTING_BODY: usize = 1024 * 1024;
/// Most routes of a hub, the fallback route not counted.
pub const MAX_ROUTES: usize = 100;
/// Most endpoints of a hub beside the built-in one.
pub const MAX_ENDPOINTS: usize = 10;
/// Most enrichments of a hub.
pub const MAX_ENRICHMENTS: usize = 10;

/// The routing of a hub: body of PUT and answer of GET.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Routing {
    /// Where events go, beside the built-in endpoint `events`.
    pub endpoints: Endpoints,
    /// Tried all; an event goes to the endpoint of each that matches.
    pub routes: Vec<Route>,
    /// Where telemetry goes that no route matches.
    pub fallback_route: FallbackRoute,
    /// Properties that are added on the way to endpoints.
    pub enrichments: Vec<Enrichment>,
}

/// Endpoints by kind. Kinds of Azure's that are not offered may be there, empty.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Endpoints {
    /// Called with each batch of events.
    pub webhooks: Vec<WebhookEndpoint>,
    /// Streams of NATS JetStream.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nats_streams: Vec<NatsEndpoint>,
    /// Event hubs of Azure; must be empty.
    #[serde(skip_serializing)]
    pub event_hubs: NotOffered,
    /// Service Bus queues of Azure; must be empty.
    #[serde(skip_serializing)]
    pub service_bus_queues: NotOffered,
    /// Service Bus topics of Azure; must be empty.
    #[serde(skip_serializing)]
    pub service_bus_topics: NotOffered,
    /// Storage containers of Azure; must be empty.
    #[serde(skip_serializing)]
    pub storage_containers: NotOffered,
    /// Cosmos DB containers of Azure; must be empty.
    #[serde(
        skip_serializing,
        alias = "cosmosDBSqlContainers",
        alias = "cosmosDBSqlCollections"
    )]
    pub cosmos_db_sql_containers: NotOffered,
}

impl Endpoints {
    /// Names of all, with the kind and its place there, as `webhooks[0]`.
    pub fn names(&self) -> impl Iterator<Item = (&EndpointName, String)> {
        let webhooks = self.webhooks.iter().enumerate();
        let webhooks = webhooks.map(|(index, to)| (&to.name, format!("webhooks[{index}]")));
        let streams = self.nats_streams.iter().enumerate();
        let streams = streams.map(|(index, to)| (&to.name, format!("natsStreams[{index}]")));
        webhooks.chain(streams)
    }
}

/// Endpoints of a kind that is not offered: an empty list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(try_from = "Vec<Value>")]
pub struct NotOffered;

impl TryFrom<Vec<Value>> for NotOffered {
    type Error = &'static str;

    fn try_from(listed: Vec<Value>) -> Result<Self, &'static str> {
        match listed.is_empty() {
            true => Ok(Self),
            false => Err("endpoints of this kind are not offered; webhooks and natsStreams are"),
        }
    }
}

/// An endpoint that is called over HTTPS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebhookEndpoint {
    /// As routes name it.
    pub name: EndpointName,
    /// `https`, or `http` to a loopback address.
    pub url: WebhookUrl,
    /// The key that requests are signed with. A missing one is made. Shown to callers who
    /// may write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyText>,
}

/// A route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Route {
    /// Unique in any letter case.
    pub name: RouteName,
    /// The events that it looks at.
    pub source: EventSource,
    /// In the language of routing queries; `true` matches all.
    #[serde(default = "always")]
    pub condition: String,
    /// Exactly one.
    pub endpoint_names: Vec<EndpointName>,
    /// A route that is not enabled matches nothing.
    #[serde(default = "yes")]
    pub is_enabled: bool,
}

/// The route of telemetry that no other route matches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct FallbackRoute {
    /// `$fallback`.
    pub name: String,
    /// `DeviceMessages`.
    pub source: EventSource,
    /// `true`.
    pub condition: String,
    /// Exactly one.
    pub endpoint_names: Vec<EndpointName>,
    /// When it is not enabled, telemetry that no route matches is dropped.
    pub is_enabled: bool,
}

impl Default for FallbackRoute {
    fn default() -> Self {
        Self {
            name: "$fallback".to_owned(),
            source: EventSource::DeviceMessages,
            condition: always(),
            endpoint_names: vec![EndpointName::built_in()],
            is_enabled: true,
        }
    }
}

/// A property that is added to events on their way to endpoints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Enrichment {
    /// The name of the property.
    pub key: String,
    /// A text, `$iothubname`, or a path into the sender's twin, such as `$twin.tags.site`.
    pub value: String,
    /// The endpoints that get it, one at least.
    pub endpoint_names: Vec<EndpointName>,
}

fn always() -> String {
    "true".to_owned()
}

fn yes() -> bool {
    true
}

/// How an endpoint is, as `GET /muster/v1/hub/routingEndpointsHealth` answers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointHealth {
    /// The name of the endpoint.
    pub endpoint_id: EndpointName,
    /// By the last attempt to deliver.
    pub health_status: HealthStatus,
    /// Why the last attempt failed that did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_known_error: Option<String>,
    /// When it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_known_error_time: Option<Timestamp>,
    /// The last attempt that succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_successful_send_attempt_time: Option<Timestamp>,
    /// The last attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_send_attempt_time: Option<Timestamp>,
    /// The offset up to which everything was delivered or given up.
    pub position: u64,
    /// Events of the log behind that offset, for any endpoint.
    pub behind: u64,
    /// Events that the endpoint has taken.
    pub delivered: u64,
    /// Events that it refused for good: they are not sent again.
    pub dead_lettered: u64,
    /// Events that left the log before they could be delivered, or that cannot be read.
    pub missed: u64,
}

/// The state of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HealthStatus {
    /// Nothing was sent since the server started.
    Unknown,
    /// The last attempt succeeded.
    Healthy,
    /// The last attempt failed; the next follows.
    Unhealthy,
}

/// Properties of a message by name, for tests of routes.
pub type Properties = Map<String, Value>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::muster_api::parse;

    #[test]
    fn what_is_left_out_is_as_without_routes() {
        let routing: Routing = parse(b"{}").unwrap();
        assert_eq!(routing, Routing::default());
        assert!(routing.fallback_route.is_enabled);
        let route = br#"{"routes": [{"name": "r", "source": "devicemessages",
            "endpointNames": ["events"]}]}"#;
        let routing: Routing = parse(route).unwrap();
        let route = &routing.routes[0];
        assert_eq!((route.condition.as_str(), route.is_enabled), ("true", true));
    }

    #[test]
    fn kinds_of_endpoints_that_are_not_offered_may_be_empty() {
        let empty = br#"{"endpoints": {"eventHubs": [], "cosmosDBSqlContainers": []}}"#;
        assert_eq!(parse::<Routing>(empty).unwrap(), Routing::default());
        let error = parse::<Routing>(br#"{"endpoints": {"eventHubs": [{}]}}"#).unwrap_err();
        assert!(error.to_string().contains("not offered"), "{error}");
    }

    #[test]
    fn a_source_that_is_not_known_is_named() {
        let route = br#"{"routes": [{"name": "r", "source": "MqttBrokerMessages",
            "endpointNames": ["events"]}]}"#;
        let error = parse::<Routing>(route).unwrap_err().to_string();
        assert!(error.contains("event source"), "{error}");
    }
}
