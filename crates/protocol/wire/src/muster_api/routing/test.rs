//! Trying routes with a message that is not sent: Azure's `$testnew` and `$testall`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Properties, Route};
use crate::telemetry::EventSource;

/// `POST /muster/v1/hub/routing/testRoute`: does this route match?
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TestRouteRequest {
    /// The route, stored or not.
    pub route: Route,
    /// The message; without one, an empty message.
    #[serde(default)]
    pub message: TestMessage,
    /// The twin of the sender: `{"tags": …, "properties": {"desired": …, "reported": …}}`.
    #[serde(default)]
    pub twin: Value,
}

/// `POST /muster/v1/hub/routing/testRoutes`: which stored routes match?
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TestRoutesRequest {
    /// Only routes of this source.
    #[serde(default)]
    pub routing_source: Option<EventSource>,
    /// The message; without one, an empty message.
    #[serde(default)]
    pub message: TestMessage,
    /// The twin of the sender.
    #[serde(default)]
    pub twin: Value,
}

/// A message that is not sent.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TestMessage {
    /// The content, as text.
    pub body: String,
    /// Application properties by name.
    pub app_properties: Properties,
    /// System properties by name, such as `contentType`.
    pub system_properties: Properties,
}

/// The answer for one route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TestResult {
    /// `true`, `false` or `undefined`.
    pub result: &'static str,
    /// What is wrong with the condition.
    pub details: TestDetails,
}

/// What is wrong with a condition.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TestDetails {
    /// At most one.
    pub compilation_errors: Vec<CompilationError>,
}

/// An error of a condition, with its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CompilationError {
    /// What is wrong.
    pub message: String,
    /// `error`.
    pub severity: &'static str,
    /// Where.
    pub location: Location,
}

/// A place in a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Location {
    /// Its first character.
    pub start: Position,
    /// The character after it.
    pub end: Position,
}

/// A character of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Position {
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
}

/// The answer for all routes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TestRoutesResult {
    /// Those that match.
    pub routes: Vec<MatchedRoute>,
}

/// A route that matches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MatchedRoute {
    /// The route itself.
    pub properties: Route,
}
