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
/// The whole numbers that every SDK keeps exactly.
const INTEGERS: std::ops::RangeInclusive<i64> = -4_503_599_627_370_496..=4_503_599_627_370_495;

/// Checks keys, depth, texts and whole numbers of `document`, which stands at `path`.
pub(crate) fn require_members(path: &str, document: &Map<String, Value>) -> Result<(), TwinError> {
    members(&mut path.to_owned(), document, 1)
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
        Value::Array(items) => items
            .iter()
            .try_for_each(|item| require_value(path, item, depth + 1)),
    }
}

/// Checks the size of a whole document.
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
        _ => Ok(()),
    }
}

/// Keys and values count: a text its bytes, a number 8, a truth value 4.
fn size_of_members(document: &Map<String, Value>) -> usize {
    document
        .iter()
        .map(|(key, value)| key.len() + size(value))
        .sum()
}

fn size(value: &Value) -> usize {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 4,
        Value::Number(_) => 8,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(inner) => size_of_members(inner),
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
    use serde_json::json;

    use super::*;

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
}
