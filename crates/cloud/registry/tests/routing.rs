//! Routes by the documented rules: conditions over messages, endpoints, fallback, enrichments.

#![allow(
    clippy::unwrap_used,
    reason = "a failed expectation is how a test fails"
)]

use std::cell::Cell;

use ids::{EndpointName, Timestamp};
use proptest::prelude::*;
use registry::Event;
use registry::routing::{Destinations, Facts, RouteCondition, RoutingTable};
use serde_json::{Value, json};
use wire::telemetry::EventSource;

/// A message of the documentation's routing page.
fn weather() -> Event {
    let body = json!({"Weather": {
        "Temperature": 50,
        "Time": "2017-03-09T00:00:00.000Z",
        "Location": {"Street": "One Microsoft Way", "City": "Redmond", "State": "WA"},
        "IsEnabled": "true",
        "HistoricalData": [{"Month": "Feb", "Temperature": 40}, {"Month": "Jan"}],
    }});
    message(
        &body.to_string(),
        &[("processingPath", "hot"), ("a.b", "dotted")],
    )
}

fn message(body: &str, properties: &[(&str, &str)]) -> Event {
    let system = [("$.ct", "application/json"), ("$.ce", "UTF-8")];
    let properties = properties.iter().chain(&system);
    Event {
        hub: "hub".parse().unwrap(),
        device: "d1".parse().unwrap(),
        module: Some("m1".parse().unwrap()),
        enqueued: Timestamp::from_unix_seconds(1_500_000_000),
        source: EventSource::DeviceMessages,
        sender: None,
        properties: properties
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        body: body.as_bytes().to_vec(),
    }
}

fn twin() -> Value {
    json!({
        "tags": {"site": "Busan", "deploymentLocation": {"building": "43", "floor": "1"}},
        "properties": {
            "desired": {"telemetryConfig": {"sendFrequency": "5m"}, "$version": 2},
            "reported": {"battery": 55},
        },
    })
}

fn decide(condition: &str, event: &Event) -> Option<bool> {
    let read_twin = || Some(twin());
    let condition = RouteCondition::parse(condition).unwrap();
    condition.decide(&Facts::new(event, &read_twin))
}

#[test]
fn the_examples_of_the_documentation_match() {
    for condition in [
        "",
        "true",
        "processingPath = 'hot'",
        "PROCESSINGPATH = 'hot'",
        "$contentEncoding = 'UTF-8'",
        "$contentType = 'application/json'",
        "$connectionDeviceId = 'd1'",
        "$connectionModuleId = 'm1'",
        "$enqueuedTime > '2017-01-01' AND $enqueuedTime < '2018-01-01'",
        "$iothub-message-source = 'Telemetry'",
        "$body.Weather.HistoricalData[0].Month = 'Feb'",
        "$body.Weather.Temperature = 50 AND $body.Weather.IsEnabled = 'true'",
        "length($body.Weather.Location.State) = 2",
        "$body.Weather.Temperature = 50 AND processingPath = 'hot'",
        "$twin.properties.desired.telemetryConfig.sendFrequency = '5m'",
        "$body.Weather.Temperature = 50 AND \
         $twin.properties.desired.telemetryConfig.sendFrequency = '5m'",
        "$twin.tags.deploymentLocation.floor = '1' AND $twin.properties.reported.battery > 50",
        "NOT is_defined($twin.tags.other) AND is_defined(processingPath)",
        "starts_with($body.Weather.Location.City, 'Red')",
        "a.b = 'dotted'",
        "$BODY.weather.temperature = 50",
    ] {
        assert_eq!(decide(condition, &weather()), Some(true), "{condition}");
    }
}

#[test]
fn what_is_undefined_matches_nothing() {
    for condition in [
        "$body.Weather.Missing = 1",
        "missing = 'x'",
        "$nothing = 'x'",
        "$twin.tags.missing = 'x'",
        "$body.Weather.Temperature = '50'",
        "$dt-subject = 'x'",
    ] {
        assert_eq!(decide(condition, &weather()), None, "{condition}");
    }
    assert_eq!(decide("false", &weather()), Some(false));
    assert_eq!(decide("processingPath = 'cold'", &weather()), Some(false));
}

#[test]
fn a_body_is_looked_into_only_when_type_and_encoding_say_json() {
    let body = json!({"t": 1}).to_string();
    let condition = "$body.t = 1";
    assert_eq!(decide(condition, &message(&body, &[])), Some(true));
    for (kind, encoding) in [
        (Some("text/plain"), Some("utf-8")),
        (Some("application/json"), None),
        (None, Some("utf-8")),
        (Some("application/json"), Some("latin1")),
    ] {
        let mut event = message(&body, &[]);
        event.properties.clear();
        let given = [("$.ct", kind), ("$.ce", encoding)];
        let given = given
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        let given = given.map(|(name, value)| (name.to_owned(), value.to_owned()));
        event.properties.extend(given);
        assert_eq!(decide(condition, &event), None, "{kind:?} {encoding:?}");
    }
    let mut wide = message(&body, &[]);
    wide.properties[1].1 = "utf-16".to_owned();
    wide.body = body.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(decide(condition, &wide), Some(true));
    assert_eq!(decide("$body[1] = 2", &message("[1, 2]", &[])), Some(true));
    assert_eq!(decide("$body.t = 1", &message("{", &[])), None);
}

/// A property of the sender whose name begins with `$` is looked up behind the hub's own.
#[test]
fn system_properties_come_before_those_of_the_sender() {
    let event = message("", &[("$contentType", "forged"), ("$mine", "own")]);
    assert_eq!(
        decide("$contentType = 'application/json'", &event),
        Some(true)
    );
    assert_eq!(decide("$mine = 'own'", &event), Some(true));
}

fn table(document: Value) -> Result<RoutingTable, String> {
    let document = serde_json::from_value(document).map_err(|error| error.to_string())?;
    RoutingTable::check(document).map_err(|error| ids::error_chain(&error))
}

fn route(name: &str, condition: &str, endpoint: &str) -> Value {
    json!({"name": name, "source": "DeviceMessages", "condition": condition,
        "endpointNames": [endpoint], "isEnabled": true})
}

fn webhook(name: &str) -> Value {
    json!({"name": name, "url": "https://hook.example/in"})
}

/// Endpoint names and enrichments.
fn sent(table: &RoutingTable, event: &Event) -> Vec<(String, Vec<(String, String)>)> {
    match table.destinations(event, &|| Some(twin())) {
        Destinations::BuiltIn => vec![("events".to_owned(), Vec::new())],
        Destinations::Listed(listed) => listed
            .into_iter()
            .map(|to| (to.endpoint.to_string(), to.enrichments))
            .collect(),
    }
}

fn endpoints(table: &RoutingTable, event: &Event) -> Vec<String> {
    sent(table, event)
        .into_iter()
        .map(|(name, _)| name)
        .collect()
}

#[test]
fn each_endpoint_gets_a_message_once_and_the_fallback_what_no_route_matches() {
    let routes = json!([
        route("one", "processingPath = 'hot'", "hook"),
        route("two", "true", "HOOK"),
        route("three", "processingPath = 'cold'", "events"),
        {"name": "four", "source": "DeviceMessages", "condition": "true",
            "endpointNames": ["events"], "isEnabled": false},
    ]);
    let document = json!({"endpoints": {"webhooks": [webhook("hook")]}, "routes": routes});
    let routed = table(document).unwrap();
    assert_eq!(endpoints(&routed, &weather()), ["hook"]);
    let narrow = |fallback: bool| {
        table(json!({
            "endpoints": {"webhooks": [webhook("hook")]},
            "routes": [route("one", "processingPath = 'cold'", "hook")],
            "fallbackRoute": {"isEnabled": fallback},
        }))
        .unwrap()
    };
    assert_eq!(endpoints(&narrow(true), &weather()), ["events"]);
    assert!(endpoints(&narrow(false), &weather()).is_empty());
    let plain = RoutingTable::plain();
    assert_eq!(
        plain.destinations(&weather(), &|| None),
        Destinations::BuiltIn
    );
}

#[test]
fn enrichments_are_texts_the_hub_and_values_of_the_twin() {
    let enrichment = |key: &str, value: &str, to: &[&str]| json!({"key": key, "value": value, "endpointNames": to});
    let document = json!({
        "endpoints": {"webhooks": [webhook("hook")]},
        "routes": [route("all", "true", "hook"), route("here", "true", "events")],
        "enrichments": [
            enrichment("fixed", "text", &["hook"]),
            enrichment("hub", "$iothubname", &["events"]),
            enrichment("site", "$twin.tags.site", &["events", "hook"]),
            enrichment("battery", "$twin.properties.reported.battery", &["hook"]),
            enrichment("gone", "$twin.tags.gone", &["hook"]),
        ],
    });
    let routed = sent(&table(document).unwrap(), &weather());
    let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    };
    let hook = pairs(&[
        ("fixed", "text"),
        ("site", "Busan"),
        ("battery", "55"),
        ("gone", "$twin.tags.gone"),
    ]);
    let here = pairs(&[("hub", "hub"), ("site", "Busan")]);
    assert_eq!(
        routed,
        [("hook".to_owned(), hook), ("events".to_owned(), here)]
    );
}

#[test]
fn a_message_that_grows_too_large_does_not_reach_the_endpoint() {
    let document = json!({
        "endpoints": {"webhooks": [webhook("hook")]},
        "routes": [route("all", "true", "hook"), route("here", "true", "events")],
        "enrichments": [{"key": "k", "value": "v", "endpointNames": ["hook"]}],
    });
    let mut event = message("", &[]);
    event.properties.clear();
    event.body = vec![0; 256 * 1024 - 1];
    assert_eq!(endpoints(&table(document).unwrap(), &event), ["events"]);
}

/// The twin is read at most once, and not at all when nothing asks for it.
#[test]
fn a_twin_is_read_only_for_routes_that_look_at_it() {
    let reads = Cell::new(0);
    let read_twin = || {
        reads.set(reads.get() + 1);
        Some(twin())
    };
    let without = json!({"routes": [route("a", "processingPath = 'hot'", "events")]});
    table(without).unwrap().destinations(&weather(), &read_twin);
    assert_eq!(reads.get(), 0);
    let with = json!({
        "routes": [route("a", "$twin.tags.x = 1", "events"), route("b", "$twin.tags.y = 1",
            "events")],
        "enrichments": [{"key": "k", "value": "$twin.tags.site", "endpointNames": ["events"]}],
    });
    table(with).unwrap().destinations(&weather(), &read_twin);
    assert_eq!(reads.get(), 1);
}

#[test]
fn documents_that_cannot_be_obeyed_are_refused_with_the_place() {
    let many = |count: usize| {
        let routes = (0..count).map(|n| route(&format!("r{n}"), "true", "events"));
        Value::from(routes.collect::<Vec<_>>())
    };
    assert!(table(json!({"routes": many(100)})).is_ok());
    let hooks: Vec<Value> = (0..11).map(|n| webhook(&format!("h{n}"))).collect();
    let enrichments: Vec<Value> = (0..11)
        .map(|n| json!({"key": format!("k{n}"), "value": "v", "endpointNames": ["events"]}))
        .collect();
    for (document, part) in [
        (json!({"routes": many(101)}), "101 are given; 100"),
        (
            json!({"endpoints": {"webhooks": hooks}}),
            "11 are given; 10",
        ),
        (json!({"enrichments": enrichments}), "11 are given; 10"),
        (
            json!({"routes": [route("a", "true", "hook")]}),
            "route a names the endpoint hook",
        ),
        (
            json!({"routes": [route("a", "true", "events"), route("A", "true", "events")]}),
            "route A has a name",
        ),
        (
            json!({"endpoints": {"webhooks": [webhook("Events")]}}),
            "webhooks[0] has a name",
        ),
        (
            json!({"routes": [route("a", "x = ", "events")]}),
            "route a cannot be read: at position",
        ),
        (
            json!({"routes": [{"name": "a", "source": "DeviceMessages", "endpointNames": []}]}),
            "exactly one",
        ),
        (
            json!({"fallbackRoute": {"condition": "x = 1"}}),
            "must be true",
        ),
        (
            json!({"enrichments": [{"key": "iothub-connection-device-id", "value": "x",
                "endpointNames": ["events"]}]}),
            "enrichments[0]: its key",
        ),
        (
            json!({"enrichments": [{"key": "k", "value": "x", "endpointNames": []}]}),
            "endpointNames is empty",
        ),
    ] {
        let refused = table(document).unwrap_err();
        assert!(refused.contains(part), "{refused}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// An independent evaluation of conditions on one application property.
    #[test]
    fn conditions_on_a_property_agree_with_plain_rust(
        value in proptest::option::of("[a-c]{0,2}"),
        wanted in "[a-c]{0,2}",
        operator in prop::sample::select(vec!["=", "!=", "<", ">", "<=", ">="]),
        negated in any::<bool>(),
        name in prop::sample::select(vec!["k", "K"]),
    ) {
        let properties: Vec<(&str, &str)> = value.iter().map(|value| ("k", value.as_str())).collect();
        let event = message("", &properties);
        let condition = format!("{}({name} {operator} '{wanted}')", if negated { "NOT " } else { "" });
        let expected = value.as_deref().map(|value| {
            let held = match operator {
                "=" => value == wanted,
                "!=" => value != wanted,
                "<" => value < wanted.as_str(),
                ">" => value > wanted.as_str(),
                "<=" => value <= wanted.as_str(),
                _ => value >= wanted.as_str(),
            };
            held != negated
        });
        prop_assert_eq!(decide(&condition, &event), expected, "{}", condition);
    }

    /// A message is somewhere, and nowhere twice, whatever routes match.
    #[test]
    fn a_message_goes_to_each_endpoint_of_a_matching_route_and_else_to_the_fallback(
        routes in prop::collection::vec((any::<bool>(), any::<bool>(), 0..3usize), 0..12),
        fallback in any::<bool>(),
    ) {
        let names = ["events", "one", "two"];
        let listed: Vec<Value> = routes
            .iter()
            .enumerate()
            .map(|(n, (matches, enabled, to))| {
                let condition = if *matches { "processingPath = 'hot'" } else { "missing = 1" };
                let mut route = route(&format!("r{n}"), condition, names[*to]);
                route["isEnabled"] = json!(enabled);
                route
            })
            .collect();
        let table = table(json!({
            "endpoints": {"webhooks": [webhook("one"), webhook("two")]},
            "routes": listed,
            "fallbackRoute": {"isEnabled": fallback},
        }))
        .unwrap();
        let mut got = endpoints(&table, &weather());
        got.sort_unstable();
        let wanted = |name: &usize| routes.iter().any(|(m, e, to)| *m && *e && to == name);
        let mut expected: Vec<String> =
            (0..3).filter(wanted).map(|to| names[to].to_owned()).collect();
        if expected.is_empty() && fallback {
            expected.push("events".to_owned());
        }
        expected.sort_unstable();
        prop_assert_eq!(got, expected);
    }
}

#[test]
fn the_built_in_endpoint_without_enrichments_is_as_without_routes() {
    let document = json!({"routes": [route("a", "true", "events")]});
    let destinations = table(document).unwrap().destinations(&weather(), &|| None);
    assert_eq!(destinations, Destinations::BuiltIn);
    assert!(
        destinations
            .enrichments(&EndpointName::built_in())
            .is_some()
    );
}
