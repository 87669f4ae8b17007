use proptest::prelude::*;

use super::*;
use crate::query::ast::Node;

/// The examples of the documents, of `az` and of portals.
const QUERIES: &[&str] = &[
    "SELECT * FROM devices",
    " select  *\tfrom\nDevices ",
    "SELECT COUNT() AS totalNumberOfDevices FROM devices",
    "SELECT * FROM devices WHERE tags.location.region = 'US'",
    "SELECT * FROM devices WHERE tags.location.region = 'US'
     AND properties.reported.telemetryConfig.sendFrequencyInSecs >= 60",
    "SELECT * FROM devices WHERE tags.location.region = 'US'
     AND properties.reported.connectivity IN ['wired', 'wifi']",
    "SELECT * FROM devices WHERE is_defined(properties.reported.connectivity)",
    "SELECT properties.reported.telemetryConfig.status AS status, COUNT() AS numberOfDevices
     FROM devices GROUP BY properties.reported.telemetryConfig.status",
    "SELECT * FROM devices.modules",
    "SELECT * FROM devices.modules WHERE properties.reported.status = 'scanning'",
    "SELECT * FROM devices.modules WHERE properties.reported.status = 'scanning'
     AND deviceId IN ['device1', 'device2']",
    "SELECT * FROM devices.jobs",
    "SELECT * FROM devices.jobs WHERE devices.jobs.deviceId = 'myDeviceId'",
    "SELECT * FROM devices.jobs WHERE devices.jobs.deviceId = 'myDeviceId'
     AND devices.jobs.jobType = 'scheduleUpdateTwin' AND devices.jobs.status = 'completed'
     AND devices.jobs.createdTimeUtc > '2016-09-01'",
    "SELECT * FROM devices WHERE tags.[[group]].name = 'some_value'",
    "SELECT * FROM devices WHERE devices.deviceId = 'a' OR deviceId = \"b\"",
    "select * from devices where capabilities.iotEdge = true",
    "select TOP 10 * from devices where capabilities.iotEdge=false",
    "SELECT * FROM devices WHERE configurations.[[my-cfg]].status = 'Applied'",
    "SELECT deviceId FROM devices.modules WHERE moduleId = '$edgeAgent'
     AND configurations.[[my-cfg]].status = 'Applied'
     AND properties.desired.$version = properties.reported.lastDesiredVersion
     AND properties.reported.lastDesiredStatus.code = 200",
    "select * from devices where array_contains(parentScopes, 'ms-azure-iot-edge://a-1')",
    "SELECT * FROM devices WHERE startswith(deviceId, 'line-') AND NOT ENDS_WITH(deviceId, '9')",
    "SELECT * FROM devices WHERE properties.reported.$metadata.a.$lastUpdated > '2026-01-01'",
    "SELECT deviceId, tags.a AS a, lastActivityTime FROM devices WHERE status='enabled'",
    "SELECT AVG(tags.a), SUM(tags.a), MIN(tags.a), MAX(tags.a), COUNT() FROM devices.modules",
    "SELECT * FROM devices WHERE tags.x NIN [0x1F, -1, 1.5e3, true, null] OR tags.y <> undefined",
    "SELECT * FROM devices WHERE (tags.a + 1) * 2 - tags.b / 3 % 4 >= -tags.c",
    "SELECT * FROM devices WHERE tags['x'] = tags.list[0].y OR tags.my-key != null",
    r"SELECT * FROM devices WHERE tags.a = 'O\'Neil' OR tags.a = 'C:\\x' OR tags.a = '\u0034'",
    "SELECT tags.a FROM devices GROUP BY tags.a, tags.b",
    "SELECT * FROM devices WHERE true AND NOT false",
    "SELECT * FROM devices WHERE tags.lab",
];

#[test]
fn documented_queries_are_read() {
    for text in QUERIES {
        let query = Query::parse(text);
        assert!(query.is_ok(), "{text}: {query:?}");
    }
}

#[test]
fn the_collection_in_front_of_a_path_goes() {
    for (text, path) in [
        ("SELECT * FROM devices WHERE devices.tags.a = 1", "tags.a"),
        (
            "SELECT * FROM devices.modules WHERE devices.modules.tags.a = 1",
            "tags.a",
        ),
        (
            "SELECT * FROM devices.modules WHERE devices.deviceId = 'a'",
            "deviceId",
        ),
        (
            "SELECT * FROM devices.jobs WHERE devices.jobs.jobId = 'a'",
            "jobId",
        ),
        (
            "SELECT * FROM devices WHERE tags.[[odd key]][3].x = 1",
            "tags.[[odd key]][3].x",
        ),
    ] {
        let query = Query::parse(text).unwrap();
        let mut paths = Vec::new();
        query
            .condition
            .as_ref()
            .unwrap()
            .for_each_path(&mut |path| paths.push(path.to_string()));
        assert_eq!(paths, [path], "{text}");
    }
}

#[test]
fn what_binds_closer_is_read_first() {
    for (text, same) in [
        ("a = 1 OR b = 2 AND c = 3", "a = 1 OR (b = 2 AND c = 3)"),
        ("NOT a = 1 AND b = 2", "(NOT (a = 1)) AND b = 2"),
        ("1 + 2 * 3 = a", "1 + (2 * 3) = a"),
        ("-2 * a < 3", "(-2) * a < 3"),
    ] {
        let shape = |text| {
            let debug = format!("{:?}", parse_condition(text, Quotes::Any).unwrap());
            let mut kept = String::new();
            for part in debug.split("at: ") {
                kept += part.trim_start_matches(|c: char| c.is_ascii_digit());
            }
            kept
        };
        assert_eq!(shape(text), shape(same), "{text}");
    }
}

/// Text, the position of its fault, a part of what is said.
const FAULTS: &[(&str, usize, &str)] = &[
    (
        "selct * from devices",
        0,
        "SELECT was expected, found 'selct'",
    ),
    ("drop table", 0, "SELECT"),
    ("select * devices", 9, "FROM was expected"),
    ("select * from twins", 14, "devices.modules or devices.jobs"),
    ("select * from devices.things", 14, "found 'devices.things'"),
    ("select * from devices where", 27, "found the end"),
    (
        "select * from devices where tags.a = = 1",
        37,
        "a comparison sign",
    ),
    (
        "select * from devices where tags.a == 1",
        36,
        "'=' compares",
    ),
    (
        "select * from devices where tags.a = 1 tags.b = 2",
        39,
        "the end was expected",
    ),
    (
        "select * from devices where 5",
        29,
        "IN was expected, found the end",
    ),
    (
        "select * from devices where 'a' and tags.b = 1",
        28,
        "never true or false",
    ),
    (
        "select * from devices where count() > 1",
        28,
        "stands only after SELECT",
    ),
    (
        "select * from devices where isdefined(tags.a)",
        28,
        "no function 'isdefined'",
    ),
    (
        "select * from devices where is_defined('a')",
        28,
        "takes a property",
    ),
    (
        "select * from devices where contains(tags.a)",
        28,
        "takes 2 argument",
    ),
    (
        "select * from devices where group = 1",
        28,
        "takes a keyword as a name",
    ),
    (
        "select * from devices where tags.a in []",
        39,
        "a value was expected",
    ),
    (
        "select * from devices where tags.a ! 1",
        35,
        "to negate write NOT",
    ),
    ("select * from devices where tags.[[a = 1", 33, "no ']]'"),
    (
        "select * from devices where tags. = 1",
        33,
        "a property name was expected",
    ),
    (
        "select * from devices where devices = 1",
        28,
        "a property of devices",
    ),
    ("select top 0 * from devices", 11, "above 0"),
    ("select count(*) from devices", 13, "')' was expected"),
    (
        "select deviceId, count() from devices",
        7,
        "must stand in GROUP BY",
    ),
    (
        "select * from devices group by tags.a",
        31,
        "lists the grouped properties",
    ),
    (
        "select tags.a, properties.desired.a from devices",
        15,
        "name one with AS",
    ),
    ("select deviceId from devices.jobs", 0, "SELECT * only"),
    ("select * from devices group tags.a", 28, "BY was expected"),
    (
        "select * from devices where a = 1 = 2",
        34,
        "AND, OR or the end",
    ),
    (
        "select * from devices where a = 1 ; drop",
        34,
        "has no meaning",
    ),
];

#[test]
fn faults_have_a_position_and_say_what_was_expected() {
    let mut others = Vec::new();
    for (text, position, wanted) in FAULTS {
        let error = Query::parse(text).unwrap_err();
        if error.position != *position || !error.problem.contains(wanted) {
            others.push(format!("{text}: {error}"));
        }
    }
    assert_eq!(others, Vec::<String>::new());
}

#[test]
fn size_and_nesting_have_limits() {
    let read = |text: &str| parse_condition(text, Quotes::Any);
    let nested = |depth| format!("{}a = 1{}", "(".repeat(depth), ")".repeat(depth));
    assert!(read(&nested(MAX_DEPTH)).is_ok());
    let faults = [
        (nested(MAX_DEPTH + 1), "nests deeper"),
        ("NOT ".repeat(9000) + "a = 1", "nests deeper"),
        ("- ".repeat(9000) + "a = 1", "nests deeper"),
        ("UPPER(".repeat(9000) + "a", "nests deeper"),
        ("a = 1 OR ".repeat(3000) + "a = 1", "parts"),
        (format!("a = 1{}", " + 1".repeat(3000)), "parts"),
        (format!("a IN [1{}]", ",1".repeat(MAX_LIST)), "1024 values"),
        ("x".repeat(MAX_TEXT + 1), "65536 are allowed"),
    ];
    for (text, wanted) in faults {
        let error = read(&text).unwrap_err();
        assert!(error.problem.contains(wanted), "{error}");
    }
}

#[test]
fn a_long_chain_is_a_list() {
    let text = "a = 1 OR ".repeat(300) + "a = 1";
    let expression = parse_condition(&text, Quotes::Any).unwrap();
    assert!(matches!(&expression.node, Node::Or(parts) if parts.len() == 301));
}

proptest! {
    #[test]
    fn no_input_panics(text in any::<String>()) {
        let _ = Query::parse(&text);
        let _ = parse_condition_within(&text, Quotes::Single, Limits::Stored);
    }

    #[test]
    fn no_likely_input_panics(words in prop::collection::vec(
        prop::sample::select(vec![
            "select", "*", "from", "devices", "devices.modules", "where", "group by", "top 3", "as x",
            "count()", "avg(", "tags.a", "deviceId", "AND", "or", "NOT", "IN", "[", "]", "(", ")",
            ",", "=", "!=", "<=", "'x'", "'", "\"x\"", "1", "0xF", "-", "+", "%", "null", "undefined",
            "[[", "]]", ".", "[0]", "is_defined(", "\\u", "é",
        ]), 0..24)) {
        let text = words.join(" ");
        let results = [Query::parse(&text).err(), parse_condition(&text, Quotes::Any).err()];
        for error in results.into_iter().flatten() {
            prop_assert!(error.position <= text.chars().count());
        }
    }
}
