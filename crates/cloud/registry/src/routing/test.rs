//! Trying routes with a message that is not sent.

use ids::{HubName, IdError, Timestamp};
use serde_json::Value as Json;
use wire::device_api::message::is_stamped;
use wire::muster_api::routing::{
    CompilationError, Location, MatchedRoute, Position, Properties, Route, TestDetails,
    TestMessage, TestResult, TestRouteRequest, TestRoutesRequest, TestRoutesResult,
};
use wire::telemetry::EventSource;

use super::condition::{Facts, RouteCondition};
use super::message::bag_name;
use crate::event::Event;
use crate::query::ParseError;

/// The message of a test: of a hub, and of a time.
pub struct TestContext<'a> {
    pub hub: &'a HubName,
    pub now: Timestamp,
}

/// Whether a route matches a message. The error is for an id that no device has.
pub fn test_route(
    request: &TestRouteRequest,
    context: &TestContext<'_>,
) -> Result<TestResult, IdError> {
    let event = event(&request.message, request.route.source, context)?;
    let text = &request.route.condition;
    let condition = match RouteCondition::parse(text) {
        Ok(condition) => condition,
        Err(error) => {
            let compilation_errors = vec![compilation_error(text, &error)];
            return Ok(TestResult {
                result: "undefined",
                details: TestDetails { compilation_errors },
            });
        }
    };
    let result = match decide(&condition, &event, &request.twin) {
        Some(true) => "true",
        Some(false) => "false",
        None => "undefined",
    };
    Ok(TestResult {
        result,
        details: TestDetails::default(),
    })
}

/// Which of the routes match a message. The error is for an id that no device has.
pub fn test_routes(
    routes: &[Route],
    request: &TestRoutesRequest,
    context: &TestContext<'_>,
) -> Result<TestRoutesResult, IdError> {
    let source = request
        .routing_source
        .unwrap_or(EventSource::DeviceMessages);
    let event = event(&request.message, source, context)?;
    let matches = |route: &&Route| {
        let condition = RouteCondition::parse(&route.condition).ok();
        let decided = condition.and_then(|condition| decide(&condition, &event, &request.twin));
        route.is_enabled && route.source == source && decided == Some(true)
    };
    let found = routes.iter().filter(matches).cloned();
    Ok(TestRoutesResult {
        routes: found
            .map(|properties| MatchedRoute { properties })
            .collect(),
    })
}

fn decide(condition: &RouteCondition, event: &Event, twin: &Json) -> Option<bool> {
    let read_twin = || Some(twin.clone());
    condition.decide(&Facts::new(event, &read_twin))
}

/// The event that a test's message would be.
fn event(
    message: &TestMessage,
    source: EventSource,
    context: &TestContext<'_>,
) -> Result<Event, IdError> {
    let text = |value: &Json| match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    };
    let system = |name: &str| {
        let members = message.system_properties.iter();
        let mut named = members.filter(|(member, _)| member.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| text(value))
    };
    let device = system("connectionDeviceId").or_else(|| system("iothub-connection-device-id"));
    let module = system("connectionModuleId").or_else(|| system("iothub-connection-module-id"));
    Ok(Event {
        hub: context.hub.clone(),
        device: device.as_deref().unwrap_or("test-device").parse()?,
        module: module.map(|name| name.parse()).transpose()?,
        enqueued: context.now,
        source,
        sender: None,
        properties: bag(&message.app_properties, &message.system_properties, text),
        body: message.body.clone().into_bytes(),
    })
}

fn bag(
    application: &Properties,
    system: &Properties,
    text: impl Fn(&Json) -> String,
) -> Vec<(String, String)> {
    let sent = application
        .iter()
        .filter(|(name, _)| !is_stamped(name))
        .map(|(name, value)| (name.clone(), text(value)));
    let system = system
        .iter()
        .filter_map(|(name, value)| Some((bag_name(name)?.to_owned(), text(value))));
    sent.chain(system).collect()
}

fn compilation_error(condition: &str, error: &ParseError) -> CompilationError {
    let leading = condition.chars().take_while(|c| c.is_whitespace()).count();
    let before: String = condition.chars().take(leading + error.position).collect();
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    let start = Position { line, column };
    CompilationError {
        message: error.problem.clone(),
        severity: "error",
        location: Location {
            start,
            end: Position {
                column: column + 1,
                ..start
            },
        },
    }
}
