use proptest::prelude::*;
use serde_json::{Map, json};

use super::*;

fn matches(condition: &str) -> bool {
    let tags = json!({
        "site": "Seoul", "floor": 3, "lab": true, "owner": {"name": "O'Brien"}, "my-key": "x", "odd key": 1, "list": [1],
        "path": "C:\\x", "said": "\"a\"", "face": "4\u{1f600}"
    });
    let reported = json!({"fw": {"version": 1.5}});
    let facts = Facts {
        device_id: "edge-1",
        module_id: None,
        tags: tags.as_object().unwrap(),
        reported: reported.as_object().unwrap(),
    };
    Condition::parse(condition).unwrap().matches(facts)
}

#[test]
fn conditions_that_match() {
    for condition in [
        "*",
        " * ",
        "deviceId = 'edge-1'",
        "deviceId='edge-1' and tags.site='Seoul'",
        "tags.floor = 3 AND tags.floor >= 3 AND tags.floor < 4 AND tags.floor <> 5",
        "tags.lab = true",
        "tags.owner.name = 'O''Brien'",
        // H15, R10
        r"tags.owner.name = 'O\'Brien'",
        r"tags.path = 'C:\\x'",
        r"tags.path = 'C:\x'",
        r#"tags.said = '\"a\"' AND tags.said = '"a"'"#,
        r"tags.face = '\u0034\uD83D\ude00' AND tags.site = '\u0053eoul'",
        "tags.my-key = 'x'",
        "tags.[[odd key]] = 1",
        "properties.reported.fw.version > 1.4",
        "NOT tags.site = 'Busan'",
        "tags.site != 'Busan'",
        "tags.site IN ['Busan', 'Seoul']",
        "tags.floor in (1, 2, 3)",
        "tags.floor NIN [1, 2]",
        "tags.site = 'x' OR (tags.floor = 3 AND NOT tags.lab = false)",
        "tags.missing = 1 OR tags.floor = 3",
        "'Seoul' = tags.site",
        "tags.floor > -1e2",
        // H4
        "NOT IS_DEFINED(tags.unmanaged)",
        "tags.site != null",
        "tags['site'] = 'Seoul'",
        "tags.list[0] = 1",
        "tags.lab",
        // AND binds closer than OR.
        "tags.floor = 3 OR tags.floor = 4 AND tags.floor = 5",
    ] {
        assert!(matches(condition), "{condition}");
    }
}

#[test]
fn conditions_that_do_not_match() {
    for condition in [
        "",
        "  ",
        "deviceId = 'EDGE-1'",
        "tags.site = 'seoul'",
        "tags.missing = 1",
        "tags.missing != 1",
        "NOT tags.missing = 1",
        "NOT (tags.missing = 1 AND tags.floor = 3)",
        "tags.floor = '3'",
        "tags.floor < 'a'",
        "tags.owner = 'x'",
        "tags.owner != 'x'",
        "tags.list = 1",
        "tags.site.deeper = 1",
        "tags.missing IN [1]",
        "NOT tags.missing IN [1]",
        "tags.site",
        "tags.missing != null",
        "tags.site != 3",
        "IS_DEFINED(tags.unmanaged)",
    ] {
        assert!(!matches(condition), "{condition}");
    }
}

#[test]
fn faults_have_a_position() {
    for (condition, position, wanted) in [
        ("tags.site == 'x'", 11, "'==' is not known"),
        ("tags.site = \"x\"", 12, "single quotes"),
        ("tags.site = 'x", 12, "no closing quote"),
        (
            "tags.site + 1",
            13,
            "=, !=, <, <=, >, >= or IN was expected, found the end",
        ),
        (
            "tags.site = 'x' tags.b = 1",
            16,
            "AND, OR or the end was expected, found 'tags'",
        ),
        ("(tags.a = 1", 11, "')' was expected, found the end"),
        ("site = 'x'", 0, "deviceId, tags.…"),
        ("properties.desired.a = 1", 0, "deviceId, tags.…"),
        (
            "tags.a = 1 AND status = 'enabled'",
            15,
            "do not look at 'status'",
        ),
        (
            "capabilities.iotEdge = true",
            0,
            "do not look at 'capabilities.iotEdge'",
        ),
        (
            "connectionState = 'Connected'",
            0,
            "do not look at 'connectionState'",
        ),
        ("tags = 1", 0, "do not look at 'tags'"),
        ("moduleId = 'a'", 0, "do not look at 'moduleId'"),
        (r"tags.a = '\u12'", 10, "four hexadecimal digits"),
        (r"tags.a = '\ud83d'", 10, "four hexadecimal digits"),
        (r"tags.a = 'C:\'", 9, "behind a backslash"),
        ("tags. = 1", 5, "a property name was expected"),
        ("tags.a = 1x", 9, "not a number"),
        ("tags.a IN []", 11, "a value was expected"),
        ("tags.a ! 1", 7, "to negate write NOT"),
        ("tags.ä = 'ß' ; 1", 13, "has no meaning"),
        ("tags.[[a = 1", 5, "no ']]'"),
    ] {
        let error = Condition::parse(condition).unwrap_err();
        assert_eq!(error.position, position, "{condition}: {error}");
        assert!(error.problem.contains(wanted), "{condition}: {error}");
    }
}

/// Target conditions of earlier versions are stored: they are read as they were.
#[test]
fn conditions_of_earlier_versions_are_read_as_they_were() {
    let tags = json!({
        "load%": 1, "a%b": {"%x": "y"}, "%x": 2, "#a": 3, "@a": 4, "a#@%": 5, "half": -0.5, "n": 2,
        "s": "v999",
    });
    let matches = |condition: &str| {
        let facts = Facts {
            device_id: "edge-1",
            module_id: None,
            tags: tags.as_object().unwrap(),
            reported: tags.as_object().unwrap(),
        };
        let read = Condition::of_devices(condition, Limits::Stored);
        read.map(|condition| condition.matches(facts))
    };
    let values: Vec<_> = (0..2000).map(|n| format!("'v{n}'")).collect();
    let long = "9,".repeat(8000);
    let chain = "tags.n=9 or ".repeat(1300);
    let nested = |text: &str| format!("{}{text}{}", "(".repeat(64), ")".repeat(64));
    for (condition, expected) in [
        ("tags.load% = 1", true),
        ("tags.load%= 2", false),
        ("tags.a%b.%x = 'y'", true),
        ("tags.%x = 2 AND properties.reported.load% = 1", true),
        ("tags.#a = 3 AND tags.@a = 4 AND tags.a#@% = 5", true),
        ("tags.n = 2. AND tags.n > 1.e-5 AND tags.n < 2.e5", true),
        ("tags.half = -.5 AND tags.half < +.5", true),
        ("tags.half > -1. AND tags.half > -.6e0", true),
        ("tags.half IN [1., -.5]", true),
        ("tags.n IN [+1, +2]", true),
        ("tags.n NIN (+2, -2)", false),
        ("tags.n = ++2 AND tags.n = +2", true),
        (&format!("tags.s IN [{}]", values.join(",")), true),
        (&format!("tags.s NIN ({})", values.join(",")), false),
        (&format!("tags.n in [{long}2]"), true),
        (&format!("{chain}tags.n=2"), true),
        (&nested("tags.half = -0.5"), true),
        (&nested("tags.n = +2"), true),
        // What the query language added.
        ("tags.n % 2 = 0 AND 5%2 = 1 AND tags['n']%2 = 0", true),
        ("tags.n -1 = 1. AND 1 - .5 = 0.5", true),
    ] {
        assert_eq!(matches(condition), Ok(expected), "{condition:.100}");
    }
    for condition in [
        "tags.n = .5",
        "tags.n = 1..",
        "tags.n = 1.e",
        "tags.n = 1.x",
        "tags.n = -.",
        "tags.n IN [+'a']",
    ] {
        assert!(matches(condition).is_err(), "{condition}");
    }
}

#[test]
fn nesting_has_a_limit() {
    let nested = |depth| format!("{}tags.a = 1{}", "(".repeat(depth), ")".repeat(depth));
    assert!(Condition::parse(&nested(64)).is_ok());
    assert!(
        Condition::parse(&nested(65))
            .unwrap_err()
            .problem
            .contains("nests deeper")
    );
    assert!(Condition::parse(&format!("{}tags.a = 1", "NOT ".repeat(4000))).is_err());
}

#[test]
fn new_conditions_have_the_limits_of_queries() {
    let many = |count| vec!["9"; count].join(",");
    for (large, problem) in [
        (format!("tags.n IN [{}]", many(1025)), "1024 values"),
        ("tags.n=9 or ".repeat(1300) + "tags.n=2", "2048 parts"),
    ] {
        assert!(Condition::of_devices(&large, Limits::Stored).is_ok());
        let refused = Condition::parse(&large).unwrap_err();
        assert!(refused.problem.contains(problem), "{refused}");
        let of_modules = format!("FROM devices.modules WHERE {large}");
        assert!(Condition::of_modules(&of_modules, Limits::Stored).is_ok());
        assert!(Condition::parse_of_modules(&of_modules).is_err());
    }
    let allowed = format!("tags.n IN [{}]", many(1024));
    assert!(Condition::parse(&allowed).is_ok());
}

#[test]
fn only_some_read_reported_properties() {
    let reads = |condition| Condition::parse(condition).unwrap().reads_reported();
    assert!(reads("tags.a = 1 OR NOT properties.reported.b = 1"));
    assert!(!reads("tags.a = 'properties.reported.b'"));
    assert!(!reads("*"));
}

#[test]
fn conditions_of_modules_name_their_collection() {
    let empty = Map::new();
    let facts = Facts {
        device_id: "edge-1",
        module_id: Some("camera"),
        tags: &empty,
        reported: &empty,
    };
    for (text, wanted) in [
        ("from devices.modules where moduleId = 'camera'", Ok(true)),
        (
            "FROM devices.modules WHERE devices.modules.moduleId = 'x'",
            Ok(false),
        ),
        ("FROM devices.modules", Ok(true)),
        ("*", Ok(true)),
        ("", Ok(false)),
        ("tags.a = 1", Err(0)),
        ("FROM devices WHERE tags.a = 1", Err(0)),
        ("FROM devices.modules tags.a = 1", Err(21)),
        ("FROM devices.modules WHERE ", Err(27)),
        ("FROM devices.modules WHERE tags.a == 1", Err(35)),
        ("FROM devices.modules WHERE status = 'enabled'", Err(27)),
    ] {
        let read = Condition::parse_of_modules(text);
        let read = read.map(|condition| condition.matches(facts));
        assert_eq!(read.map_err(|error| error.position), wanted, "{text}");
    }
}

proptest! {
    #[test]
    fn no_input_panics(text in any::<String>()) {
        let _ = Condition::parse(&text);
    }

    #[test]
    fn no_likely_input_panics(words in prop::collection::vec(
        prop::sample::select(vec![
            "tags.a", "deviceId", "properties.reported.x", "AND", "or", "NOT", "IN", "[", "]", "(", ")", ",", "=", "!=",
            "<>", "<=", ">", "'x'", "''", "'", "1", "-1.5", "true", "[[", "]]", ".", "*", "\"", "é",
        ]), 0..20)) {
        let text = words.join(" ");
        match Condition::parse(&text) {
            Ok(condition) => {
                let empty = Map::new();
                let _ = condition.matches(Facts { device_id: "d", module_id: None, tags: &empty, reported: &empty });
            }
            Err(error) => prop_assert!(error.position <= text.chars().count()),
        }
    }
}
