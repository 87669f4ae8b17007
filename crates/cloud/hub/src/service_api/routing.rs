//! `/muster/v1/hub/routing`: routes, endpoints and enrichments of a hub.

use registry::routing::{TestContext, test_route, test_routes};
use registry::{EndpointCursor, Right, RoutingRecord};
use rest::{Reply, get, post, put};
use serde_json::json;
use wire::muster_api;
use wire::muster_api::routing::{
    EndpointHealth, MAX_ROUTING_BODY, Routing, TestRouteRequest, TestRoutesRequest,
};

use super::access::Access;
use super::{Call, Route, acting};
use crate::error::HubError;

pub(super) fn routes() -> Vec<Route> {
    let reads = Access::AnyOf(&[Right::RegistryRead, Right::RegistryWrite]);
    let writes = Access::AnyOf(&[Right::RegistryWrite]);
    vec![
        get("/muster/v1/hub/routing", reads, read).without_version(),
        put("/muster/v1/hub/routing", writes, write)
            .body_limit(MAX_ROUTING_BODY)
            .without_version(),
        get("/muster/v1/hub/routingEndpointsHealth", reads, health).without_version(),
        post("/muster/v1/hub/routing/testRoute", reads, test_one)
            .body_limit(MAX_ROUTING_BODY)
            .without_version(),
        post("/muster/v1/hub/routing/testRoutes", reads, test_all)
            .body_limit(MAX_ROUTING_BODY)
            .without_version(),
    ]
}

async fn read(call: Call) -> Result<Reply, HubError> {
    let record = call.service.registry().routing(call.permit.hub()).await?;
    Ok(reply(&call, record))
}

/// Replaces the whole document.
async fn write(call: Call) -> Result<Reply, HubError> {
    let document: Routing = muster_api::parse(&call.body)?;
    let (hub, if_match) = (call.permit.hub(), call.if_match()?.into());
    let now = call.service.now();
    let record = acting(&call)
        .put_routing(hub, document, &if_match, now)
        .await?;
    tracing::info!(
        hub.name = %hub,
        routes = record.document.routes.len(),
        endpoints = record.document.endpoints.names().count(),
        "routing written"
    );
    Ok(reply(&call, record))
}

/// Whether a route, stored or not, matches a message that is not sent.
async fn test_one(call: Call) -> Result<Reply, HubError> {
    let request: TestRouteRequest = muster_api::parse(&call.body)?;
    let result = test_route(&request, &context(&call));
    result.map(|result| Reply::json(&result)).map_err(bad_id)
}

/// Which stored routes match a message that is not sent.
async fn test_all(call: Call) -> Result<Reply, HubError> {
    let request: TestRoutesRequest = muster_api::parse(&call.body)?;
    let record = call.service.registry().routing(call.permit.hub()).await?;
    let result = test_routes(&record.document.routes, &request, &context(&call));
    result.map(|result| Reply::json(&result)).map_err(bad_id)
}

/// How the endpoints are: counters and position are durable, the attempts are of this process.
async fn health(call: Call) -> Result<Reply, HubError> {
    let (hub, registry) = (call.permit.hub(), call.service.registry());
    let last = registry.last_event(hub);
    let health = |cursor: EndpointCursor| {
        let key = (hub.clone(), cursor.endpoint);
        let attempts = call.service.endpoint_health().of(&key);
        let position = cursor.position.max(attempts.position.unwrap_or(0));
        let (error, failed) = attempts.last_error.unzip();
        EndpointHealth {
            endpoint_id: key.1,
            health_status: attempts.status,
            last_known_error: error,
            last_known_error_time: failed,
            last_successful_send_attempt_time: attempts.last_success,
            last_send_attempt_time: attempts.last,
            position,
            behind: last.saturating_sub(position),
            delivered: cursor.delivered,
            dead_lettered: cursor.dead_lettered,
            missed: cursor.missed,
        }
    };
    let cursors = registry.endpoint_cursors(hub).await?;
    let value: Vec<EndpointHealth> = cursors.into_iter().map(health).collect();
    Ok(Reply::json(&json!({ "value": value })))
}

fn bad_id(error: ids::IdError) -> HubError {
    HubError::Bad(error.to_string())
}

fn context(call: &Call) -> TestContext<'_> {
    TestContext {
        hub: call.permit.hub(),
        now: call.service.now(),
    }
}

/// Who may only read sees neither keys and passwords of endpoints nor the queries of their URLs.
fn reply(call: &Call, record: RoutingRecord) -> Reply {
    let mut document = record.document;
    if !call.permit.writes_registry() {
        for webhook in &mut document.endpoints.webhooks {
            webhook.url = webhook.url.masked();
            webhook.key = None;
        }
        for stream in &mut document.endpoints.nats_streams {
            stream.password = None;
        }
    }
    Reply::json(&document).with_etag(&record.etag)
}
