//! Limits of twin documents.

use serde_json::{Map, Value};

use super::TwinError;

/// Most bytes of tags.
pub(crate) const TAGS: usize = 8 * 1024;
/// Most bytes of desired, and of reported, properties.
pub(crate) const PROPERTIES: usize = 32 * 1024;
/// Most levels of nesting.
const DEPTH: usize = 10;
/// Most bytes of a key.
const KEY: usize = 1024;
/// Most bytes of a text.
const TEXT: usize = 4096;
/// Most members and items of a document, at all levels. Numbers alone come to it at the documented
/// size; each costs memory and a date.
const VALUES: usize = 4096;
/// How many times its documented size a document may have as JSON text, which is what is
/// parsed, stored and sent.
const WRITTEN: usize = 4;
/// Most bytes of a patch as JSON text: what is larger cannot be part of a document that is allowed.
const PATCH: usize = WRITTEN * PROPERTIES;
/// The whole numbers that every SDK keeps exactly.
const INTEGERS: std::ops::RangeInclusive<i64> = -4_503_599_627_370_496..=4_503_599_627_370_495;

/// Checks what somebody sent for the document at `path`: how much it is, its keys, depth, texts and
/// whole numbers. It may delete all that is there and bring as much anew.
pub(crate) fn require_members(path: &str, patch: &Map<String, Value>) -> Result<(), TwinError> {
    require_values(path, patch, 2 * VALUES)?;
    require_written(path, patch, PATCH)?;
    members(&mut path.to_owned(), patch, 1)
}

fn members(
    path: &mut String,
    document: &Map<String, Value>,
    depth: usize,
) -> Result<(), TwinError> {
    if depth > DEPTH && !document.is_empty() {
        return Err(invalid(path, format!("nests deeper than {DEPTH} levels")));
    }
    let parent = path.len();
    for (key, value) in document {
        path.push('.');
        path.extend(key.chars().take(80));
        require_key(path, key)?;
        require_value(path, value, depth)?;
        path.truncate(parent);
    }
    Ok(())
}

fn require_key(path: &str, key: &str) -> Result<(), TwinError> {
    if key.is_empty() {
        return Err(invalid(path, "has an empty key"));
    }
    if key.len() > KEY {
        return Err(invalid(
            path,
            format!("has a key of {} bytes; {KEY} are allowed", key.len()),
        ));
    }
    let refused = |c: char| c.is_control() || matches!(c, '.' | '$' | ' ');
    match key.chars().find(|c| refused(*c)) {
        Some(bad) => Err(invalid(
            path,
            format!("has {bad:?} in its key; control characters, '.', '$' and ' ' are not allowed"),
        )),
        None => Ok(()),
    }
}

fn require_value(path: &mut String, value: &Value, depth: usize) -> Result<(), TwinError> {
    match value {
        Value::Null | Value::Bool(_) => Ok(()),
        Value::String(text) if text.len() > TEXT => Err(invalid(
            path,
            format!("has {} bytes; a text may have {TEXT}", text.len()),
        )),
        Value::String(_) => Ok(()),
        Value::Number(number) => {
            let small = number
                .as_i64()
                .map_or(!number.is_u64(), |whole| INTEGERS.contains(&whole));
            match small {
                true => Ok(()),
                false => Err(invalid(
                    path,
                    format!(
                        "is {number}; whole numbers go from {} to {}",
                        INTEGERS.start(),
                        INTEGERS.end()
                    ),
                )),
            }
        }
        Value::Object(inner) => members(path, inner, depth + 1),
        Value::Array(items)
            if depth >= DEPTH && items.iter().any(|item| item.is_array() || item.is_object()) =>
        {
            Err(invalid(path, format!("nests deeper than {DEPTH} levels")))
        }
        Value::Array(items) if items.iter().any(has_null) => Err(invalid(
            path,
            "has null inside an array; arrays are replaced whole, so there is nothing that it could delete",
        )),
        Value::Array(items) => items
            .iter()
            .try_for_each(|item| require_value(path, item, depth + 1)),
    }
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(has_null),
        Value::Object(inner) => inner.values().any(has_null),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Checks the size of a whole document: as documented, and what it costs to keep.
pub(crate) fn require_size(
    path: &str,
    document: &Map<String, Value>,
    limit: usize,
) -> Result<(), TwinError> {
    match size_of_members(document) {
        size if size > limit => Err(invalid(
            path,
            format!("has {size} bytes; {limit} are allowed"),
        )),
        _ => {
            require_values(path, document, VALUES)?;
            require_written(path, document, WRITTEN * limit)
        }
    }
}

fn require_values(path: &str, document: &Map<String, Value>, most: usize) -> Result<(), TwinError> {
    match document.values().map(values).sum::<usize>() {
        count if count > most => Err(invalid(
            path,
            format!("has {count} members and items; {most} are allowed"),
        )),
        _ => Ok(()),
    }
}

fn values(value: &Value) -> usize {
    match value {
        Value::Object(inner) => 1 + inner.values().map(values).sum::<usize>(),
        Value::Array(items) => 1 + items.iter().map(values).sum::<usize>(),
        _ => 1,
    }
}

fn require_written(
    path: &str,
    document: &Map<String, Value>,
    most: usize,
) -> Result<(), TwinError> {
    let mut written = Written(0);
    // A map of JSON values has nothing that cannot be written, and counting does not fail.
    let _ = serde_json::to_writer(&mut written, document);
    match written.0 {
        size if size > most => Err(invalid(
            path,
            format!("has {size} bytes as JSON text; {most} are allowed"),
        )),
        _ => Ok(()),
    }
}

/// Counts what would be written.
struct Written(usize);

impl std::io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Keys and values count: a text its bytes, a number 8, a truth value 4. What would count nothing,
/// such as an empty object, counts 1: it is kept as well.
fn size_of_members(document: &Map<String, Value>) -> usize {
    document
        .iter()
        .map(|(key, value)| key.len() + size(value))
        .sum()
}

fn size(value: &Value) -> usize {
    match value {
        Value::Null => 1,
        Value::Bool(_) => 4,
        Value::Number(_) => 8,
        Value::String(text) => text.len().max(1),
        Value::Array(items) => items.iter().map(size).sum::<usize>().max(1),
        Value::Object(inner) => size_of_members(inner).max(1),
    }
}

fn invalid(path: &str, problem: impl Into<String>) -> TwinError {
    TwinError::Invalid {
        path: path.to_owned(),
        problem: problem.into(),
    }
}

#[cfg(test)]
mod tests {
    use ids::Timestamp;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::twin::Stamp;

    fn check(document: &Value) -> Result<(), String> {
        require_members("tags", document.as_object().unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn faults_name_their_path_and_the_limit() {
        let mut deep = json!(1);
        for _ in 0..11 {
            deep = json!({"a": deep});
        }
        for (document, wanted) in [
            (json!({"a": {"b c": 1}}), "'tags.a.b c' has ' ' in its key"),
            (json!({"a.b": 1}), "'tags.a.b' has '.' in its key"),
            (json!({"$a": 1}), "'tags.$a' has '$' in its key"),
            (json!({"": 1}), "empty key"),
            (
                json!({"a": "x".repeat(4097)}),
                "'tags.a' has 4097 bytes; a text may have 4096",
            ),
            (json!({"k".repeat(1025): 1}), "has a key of 1025 bytes"),
            (
                json!({"a": 4_503_599_627_370_496_i64}),
                "'tags.a' is 4503599627370496",
            ),
            (json!({"a": [u64::MAX]}), "'tags.a' is 18446744073709551615"),
            // H14
            (
                json!({"a": [{"b": null}]}),
                "'tags.a' has null inside an array",
            ),
            (json!({"a": {"b": [1, null]}}), "'tags.a.b' has null"),
            (json!({"a": [[{"b": [null]}]]}), "'tags.a' has null"),
            (deep, "nests deeper than 10 levels"),
        ] {
            let error = check(&document).unwrap_err();
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn what_is_just_allowed_passes() {
        let mut deep = json!({"a": 1});
        for _ in 0..9 {
            deep = json!({"a": deep});
        }
        assert_eq!(check(&deep), Ok(()));
        assert_eq!(
            check(
                &json!({"a": -4_503_599_627_370_496_i64, "b": 1e300, "c": "x".repeat(4096), "d": [1, [2]]})
            ),
            Ok(())
        );
    }

    #[test]
    fn size_counts_keys_and_values() {
        let document = json!({"ab": 1, "c": true, "d": {"e": "xyz"}, "f": [1, "z"]});
        assert_eq!(
            size_of_members(document.as_object().unwrap()),
            2 + 8 + 1 + 4 + 1 + 1 + 3 + 1 + 8 + 1
        );
    }

    // C1
    #[test]
    fn nothing_is_kept_for_free() {
        for nothing in [json!([]), json!({}), json!(""), json!(null)] {
            let many = json!({"a": vec![nothing.clone(); 40_000]});
            let many = many.as_object().unwrap();
            let error = require_size("tags", many, PROPERTIES).unwrap_err();
            assert!(error.to_string().contains("has 40001 bytes"), "{error}");
            let error = require_members("tags", many).unwrap_err();
            assert!(error.to_string().contains("40001 members"), "{error}");
        }
        let escaped: Map<String, Value> = (0..8)
            .map(|n| (n.to_string(), "\u{1}".repeat(4000).into()))
            .collect();
        let error = require_size("tags", &escaped, PROPERTIES).unwrap_err();
        assert!(error.to_string().contains("as JSON text"), "{error}");
        let error = require_members("tags", &escaped).unwrap_err();
        assert!(error.to_string().contains("as JSON text"), "{error}");
    }

    /// Many of something small, or one of something large.
    fn piece() -> impl Strategy<Value = Value> {
        let small = prop_oneof![
            Just(json!(null)),
            Just(json!([])),
            Just(json!({})),
            Just(json!("")),
            Just(json!([[[[[]]]]])),
            Just(json!(true)),
            Just(json!(-1.7976931348623157e308)),
            Just(json!("\u{1}\"\u{1}")),
        ];
        (small, 1..10_000_usize, any::<bool>()).prop_map(|(value, count, named)| match named {
            true => Value::Object((0..count).map(|n| (n.to_string(), value.clone())).collect()),
            false => vec![value; count].into(),
        })
    }

    proptest! {
        // C1
        #[test]
        fn what_passes_is_bounded_as_it_is_kept(
            pieces in prop::collection::vec(piece(), 1..4),
            limit in prop_oneof![Just(TAGS), Just(PROPERTIES)],
        ) {
            let document: Map<_, _> = (0..).map(|n: u32| n.to_string()).zip(pieces).collect();
            if require_size("tags", &document, limit).is_ok() {
                prop_assert!(Value::Object(document.clone()).to_string().len() <= WRITTEN * limit);
                let stamp = Stamp { at: Timestamp::NEVER, version: Some(u64::MAX) };
                // Its dates: a hundred bytes and the key, each.
                let dates = Value::Object(stamp.whole(&document)).to_string().len();
                prop_assert!(dates <= 100 * (VALUES + 1) + WRITTEN * limit, "{dates}");
            }
            if require_members("tags", &document).is_ok() {
                prop_assert!(Value::Object(document).to_string().len() <= PATCH);
            }
        }
    }
}
