use serde_json::{Value as Json, json};

use crate::query::{Path, Quotes, Scope, Value, parse_condition};

struct Document(Json);

impl Scope for Document {
    fn resolve<'a>(&'a self, path: &Path) -> Value<'a> {
        Path::find(&path.segments, &self.0).into()
    }
}

fn document() -> Document {
    Document(json!({
        "n": 3, "f": 1.5, "s": "Seoul", "t": true, "null": null, "list": [1, "a", null, {"x": 7}],
        "o": {"name": "O'Neil", "path": "C:\\x", "quote": "\"a\"", "face": "4\u{1f600}", "my-key": 1},
        "number": " 12.5 ", "empty": "", "scopes": ["ms://a", "ms://b"], "ä": "ß",
    }))
}

/// `None` is undefined.
fn result(condition: &str) -> Option<bool> {
    let expression = parse_condition(condition, Quotes::Any);
    let expression = expression.unwrap_or_else(|error| panic!("{condition}: {error}"));
    match expression.evaluate(&document()) {
        Value::Bool(truth) => Some(truth),
        Value::Undefined => None,
        other => panic!("{condition}: {other:?}"),
    }
}

#[test]
fn comparisons_follow_the_table() {
    for (condition, expected) in [
        ("n = 3 AND n = 3.0 AND n = 0x3", Some(true)),
        ("n <> 3", Some(false)),
        ("n >= 3 AND n <= 3 AND f < n AND n > f", Some(true)),
        ("s = 'Seoul' AND s < 'Seoup' AND s != 'seoul'", Some(true)),
        ("t = true AND t > false", Some(true)),
        ("n = f", Some(false)),
        ("missing = 1", None),
        ("missing != 1", None),
        ("missing = missing", None),
        ("missing != null", None),
        ("missing = null", None),
        ("n = undefined", None),
        ("n = '3'", None),
        ("n != '3'", None),
        ("n < 'a'", None),
        ("t = 1", None),
        ("null = null", Some(true)),
        ("[[null]] = null", Some(true)),
        ("[[null]] != null", Some(false)),
        (
            "n != null AND s != null AND o != null AND list != null",
            Some(true),
        ),
        ("n = null OR o = null", Some(false)),
        ("n > null", None),
        ("o = o", None),
        ("o != 1", None),
        ("list = 1", None),
    ] {
        assert_eq!(result(condition), expected, "{condition}");
    }
}

#[test]
fn undefined_spreads_unless_another_part_decides() {
    for (condition, expected) in [
        ("NOT missing = 1", None),
        ("NOT (missing = 1 AND n = 3)", None),
        ("NOT (missing = 1 AND n = 4)", Some(true)),
        ("missing = 1 OR n = 3", Some(true)),
        ("missing = 1 OR n = 4", None),
        ("missing = 1 AND n = 4", Some(false)),
        ("NOT n", None),
        ("n AND t", None),
        ("t AND NOT is_defined(missing)", Some(true)),
        ("missing IN [1]", None),
        ("missing NIN [1]", None),
        ("list IN [1]", None),
        ("n IN ['3', 4]", Some(false)),
        ("n NIN ['3', 4]", Some(true)),
        (
            "n IN (1, 3) AND s IN ['Seoul'] AND f IN [-1, 1.5]",
            Some(true),
        ),
        ("[[null]] IN [null]", Some(true)),
    ] {
        assert_eq!(result(condition), expected, "{condition}");
    }
}

#[test]
fn arithmetic_is_of_numbers() {
    for (condition, expected) in [
        (
            "n + 2 * 2 = 7 AND (n + 2) * 2 = 10 AND 7 % 4 = n",
            Some(true),
        ),
        ("n - 1 - 1 = 1 AND 12 / 2 / 3 = 2", Some(true)),
        ("-n = -3 AND - -n = 3 AND n - -1 = 4 AND +3 = n", Some(true)),
        ("n / 0 = 1", None),
        ("n % 0 = 1", None),
        ("s + 1 = 2", None),
        ("missing + 1 = 2", None),
        ("-s = 1", None),
    ] {
        assert_eq!(result(condition), expected, "{condition}");
    }
}

#[test]
fn strings_are_read_with_their_escapes() {
    for condition in [
        "o.name = 'O''Neil'",
        r"o.name = 'O\'Neil'",
        "o.name = \"O'Neil\"",
        r"o.path = 'C:\\x' AND o.path = 'C:\x'",
        r#"o.quote = '\"a\"' AND o.quote = '"a"' AND o.quote = "\"a\"" AND o.quote = """a""""#,
        r"o.face = '\u0034\uD83D\ude00' AND s = '\u0053eoul'",
        "ä = 'ß'",
    ] {
        assert_eq!(result(condition), Some(true), "{condition}");
    }
}

#[test]
fn paths_lead_into_documents() {
    for (condition, expected) in [
        ("o['name'] = 'O''Neil' AND o.[[name]] = o.name", Some(true)),
        ("o.my-key = 1 AND o['my-key'] = 1", Some(true)),
        (
            "list[0] = 1 AND list[1] = 'a' AND list[3].x = 7",
            Some(true),
        ),
        ("list[9] = 1", None),
        ("list.x = 1", None),
        ("n.deeper = 1", None),
        ("S = 'Seoul'", None),
    ] {
        assert_eq!(result(condition), expected, "{condition}");
    }
}

const CALLS: &[(&str, Option<bool>)] = &[
    (
        "IS_DEFINED(n) AND is_defined([[null]]) AND NOT Is_Defined(o.missing)",
        Some(true),
    ),
    (
        "IS_NULL([[null]]) AND NOT IS_NULL(n) AND NOT IS_NULL(missing)",
        Some(true),
    ),
    (
        "IS_BOOL(t) AND IS_NUMBER(n) AND IS_STRING(s) AND IS_OBJECT(o)",
        Some(true),
    ),
    (
        "IS_ARRAY(list) AND IS_PRIMITIVE(n) AND IS_PRIMITIVE([[null]])",
        Some(true),
    ),
    (
        "IS_BOOL(n) OR IS_NUMBER(s) OR IS_STRING(n) OR IS_OBJECT(list)",
        Some(false),
    ),
    (
        "IS_ARRAY(o) OR IS_PRIMITIVE(o) OR IS_STRING(missing)",
        Some(false),
    ),
    (
        "STARTSWITH(s, 'Se') AND STARTS_WITH(s, '') AND ENDS_WITH(s, 'oul')",
        Some(true),
    ),
    ("CONTAINS(s, 'eou') AND NOT CONTAINS(s, 'x')", Some(true)),
    ("STARTSWITH(n, '3')", None),
    (
        "LOWER(s) = 'seoul' AND UPPER(s) = 'SEOUL' AND LENGTH(s) = 5",
        Some(true),
    ),
    ("LOWER(missing) = 'x'", None),
    (
        "CONCAT(s, '-', s) = 'Seoul-Seoul' AND INDEX_OF(s, 'oul') = 2",
        Some(true),
    ),
    (
        "INDEX_OF(s, 'x') = -1 AND SUBSTRING(s, 1, 2) = 'eo' AND SUBSTRING(s, 3) = 'ul'",
        Some(true),
    ),
    ("SUBSTRING(s, -1) = 'x'", None),
    (
        "ARRAY_CONTAINS(scopes, 'ms://a') AND NOT array_contains(scopes, 'ms://c')",
        Some(true),
    ),
    (
        "ARRAY_CONTAINS(list, null) AND ARRAY_CONTAINS([1, 2], n - 1)",
        Some(true),
    ),
    ("ARRAY_CONTAINS(s, 'S')", None),
    ("AS_NUMBER(number) = 12.5 AND AS_NUMBER(n) = 3", Some(true)),
    (
        "AS_NUMBER(s) = 1 OR AS_NUMBER(empty) = 0 OR AS_NUMBER('inf') = 1",
        None,
    ),
    (
        "ABS(-n) = 3 AND POWER(n, 2) = 9 AND SQUARE(n) = 9 AND SQRT(9) = n",
        Some(true),
    ),
    (
        "CEILING(f) = 2 AND FLOOR(f) = 1 AND SIGN(-f) = -1 AND EXP(0) = 1",
        Some(true),
    ),
    ("SQRT(-1) = 1", None),
];

#[test]
fn functions_have_results_or_are_undefined() {
    for (condition, expected) in CALLS {
        assert_eq!(result(condition), *expected, "{condition}");
    }
}
