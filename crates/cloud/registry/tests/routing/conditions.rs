//! Conditions over a message: what the routing page of the documentation says.

use proptest::prelude::*;
use registry::Event;
use registry::routing::{Facts, RouteCondition};
use serde_json::json;

use crate::{message, twin, weather};

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
}
