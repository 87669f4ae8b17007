//! Routes by the documented rules: conditions over messages, endpoints, fallback, enrichments.

#![allow(
    clippy::unwrap_used,
    reason = "a failed expectation is how a test fails"
)]

#[path = "routing/conditions.rs"]
mod conditions;

use std::cell::Cell;

use ids::{EndpointName, Timestamp};
use proptest::prelude::*;
use registry::Event;
use registry::routing::{Destinations, RoutingTable};
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
            .iter()
            .map(|(endpoint, enrichments)| (endpoint.to_string(), enrichments))
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
