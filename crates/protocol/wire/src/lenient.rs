//! Reads JSON bodies as tolerantly as the imitated service: member names in any case, numbers also
//! as strings, explicit `null` the same as absent, unknown members ignored.

use serde_json::{Map, Value};

/// Deepest nesting of a request body that is looked at. Twins allow 10, manifests need a few more.
const MAX_DEPTH: usize = 64;

/// Why a body could not be read: where (`authentication.symmetricKey.primaryKey`) and
/// what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{problem}", if path.is_empty() { String::new() } else { format!("'{path}': ") })]
pub struct BodyError {
    /// Dotted path of the member, empty for the body itself.
    pub path: String,
    /// What is wrong with it, in words.
    pub problem: String,
}

impl BodyError {
    /// An error at `path`.
    pub fn new(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            problem: problem.into(),
        }
    }
}

/// The text without the byte order mark that some editors and runtimes put before it.
#[must_use]
pub fn without_bom(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text)
}

/// Parses a body to JSON; a byte order mark before it says nothing. An empty body is an
/// error that says so.
pub fn parse(body: &[u8]) -> Result<Value, BodyError> {
    let body = without_bom(body);
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(BodyError::new(
            "",
            "the body is empty; a JSON object was expected",
        ));
    }
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| BodyError::new("", format!("the body is not JSON: {error}")))?;
    if depth_exceeds(&value, MAX_DEPTH) {
        return Err(BodyError::new(
            "",
            format!("the body nests deeper than {MAX_DEPTH} levels"),
        ));
    }
    Ok(value)
}

/// Like [`parse`], and refuses whole numbers of more digits than the value holds: they would be
/// kept as another number.
pub fn parse_exactly(body: &[u8]) -> Result<Value, BodyError> {
    let value = parse(body)?;
    match inexact_number(body) {
        Some(number) => Err(BodyError::new(
            "",
            format!(
                "the whole number {number} is beyond 64 bits and cannot be kept as it is; send it \
                 as a string, or with an exponent"
            ),
        )),
        None => Ok(value),
    }
}

/// The first whole number of a JSON text that 64 bits do not hold, shortened to be shown.
#[must_use]
pub fn inexact_number(json: &[u8]) -> Option<String> {
    let mut rest = json;
    while let Some((first, tail)) = rest.split_first() {
        rest = match first {
            b'"' => after_text(tail),
            b'-' | b'0'..=b'9' => {
                let part =
                    |c: &u8| c.is_ascii_digit() || matches!(c, b'-' | b'+' | b'.' | b'e' | b'E');
                let end = rest.iter().position(|c| !part(c)).unwrap_or(rest.len());
                let (number, tail) = rest.split_at(end);
                let whole = !number.iter().any(|c| matches!(c, b'.' | b'e' | b'E'));
                let text = String::from_utf8_lossy(number);
                if whole && text.parse::<i64>().is_err() && text.parse::<u64>().is_err() {
                    return Some(match text.len() {
                        0..=40 => text.into_owned(),
                        length => format!("{}… ({length} digits)", &text[..30]),
                    });
                }
                tail
            }
            _ => tail,
        };
    }
    None
}

/// What follows the closing quote of a JSON text.
fn after_text(mut rest: &[u8]) -> &[u8] {
    while let Some((first, tail)) = rest.split_first() {
        match first {
            b'"' => return tail,
            b'\\' => rest = tail.split_first().map_or(tail, |(_, after)| after),
            _ => rest = tail,
        }
    }
    rest
}

fn depth_exceeds(value: &Value, left: usize) -> bool {
    match value {
        Value::Object(_) | Value::Array(_) if left == 0 => true,
        Value::Object(map) => map.values().any(|inner| depth_exceeds(inner, left - 1)),
        Value::Array(items) => items.iter().any(|inner| depth_exceeds(inner, left - 1)),
        _ => false,
    }
}

/// A JSON object whose members are looked up in any letter case, together with its
/// place in the body.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    map: &'a Map<String, Value>,
    path: String,
}

impl<'a> Fields<'a> {
    /// The body itself, which must be an object.
    pub fn of_body(body: &'a Value) -> Result<Self, BodyError> {
        match body {
            Value::Object(map) => Ok(Self {
                map,
                path: String::new(),
            }),
            other => Err(BodyError::new(
                "",
                format!("a JSON object was expected, found {}", kind(other)),
            )),
        }
    }

    /// The raw member, `None` when absent or `null`.
    pub fn get(&self, name: &str) -> Option<&'a Value> {
        let exact = self.map.get(name);
        let found = exact.or_else(|| {
            self.map
                .iter()
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, value)| value)
        });
        found.filter(|value| !value.is_null())
    }

    /// A text; numbers and booleans are refused.
    pub fn text(&self, name: &str) -> Result<Option<&'a str>, BodyError> {
        self.get(name)
            .map(|value| {
                value
                    .as_str()
                    .ok_or_else(|| self.wrong(name, "a string", value))
            })
            .transpose()
    }

    /// A whole number, also given as a string.
    pub fn whole(&self, name: &str) -> Result<Option<i64>, BodyError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let number = match value {
            Value::Number(number) => number.as_i64().or_else(|| whole_float(number.as_f64())),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        number
            .map(Some)
            .ok_or_else(|| self.wrong(name, "a whole number", value))
    }

    /// A truth value, also given as the string `true` or `false` in any case.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>, BodyError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let found = match value {
            Value::Bool(found) => Some(*found),
            Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        };
        found
            .map(Some)
            .ok_or_else(|| self.wrong(name, "true or false", value))
    }

    /// The nested object `name`; `None` when it is absent or `null`.
    pub fn object(&self, name: &str) -> Result<Option<Fields<'a>>, BodyError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        match value {
            Value::Object(map) => Ok(Some(Fields {
                map,
                path: self.at(name),
            })),
            other => Err(self.wrong(name, "an object", other)),
        }
    }

    /// A list of texts.
    pub fn texts(&self, name: &str) -> Result<Option<Vec<String>>, BodyError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let Value::Array(items) = value else {
            return Err(self.wrong(name, "an array of strings", value));
        };
        items
            .iter()
            .map(|item| {
                item.as_str()
                    .map(str::to_owned)
                    .ok_or_else(|| self.wrong(name, "an array of strings", item))
            })
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// A flat object of texts, in the order given.
    pub fn text_map(&self, name: &str) -> Result<Option<Vec<(String, String)>>, BodyError> {
        let Some(inner) = self.object(name)? else {
            return Ok(None);
        };
        inner
            .map
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| match value {
                Value::String(text) => Ok((key.clone(), text.clone())),
                other => Err(inner.wrong(key, "a string", other)),
            })
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// The members as they are.
    pub fn map(&self) -> &'a Map<String, Value> {
        self.map
    }

    /// An error at the member `name`.
    pub fn error(&self, name: &str, problem: impl Into<String>) -> BodyError {
        BodyError::new(self.at(name), problem)
    }

    fn wrong(&self, name: &str, expected: &str, found: &Value) -> BodyError {
        self.error(
            name,
            format!("{expected} was expected, found {}", kind(found)),
        )
    }

    fn at(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }
}

/// `30.0` is a whole number to clients that know only doubles.
pub(crate) fn whole_float(number: Option<f64>) -> Option<i64> {
    /// Largest magnitude at which every whole double is exact.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "bounded by EXACT and without a fraction"
    )]
    number
        .filter(|number| number.fract() == 0.0 && number.abs() <= EXACT)
        .map(|number| number as i64)
}

/// Names the kind of a value, for messages.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_byte_order_mark_says_nothing() {
        assert_eq!(parse(b"\xEF\xBB\xBF{\"a\": 1}").unwrap(), json!({"a": 1}));
        let empty = parse(b"\xEF\xBB\xBF ").unwrap_err().to_string();
        assert!(empty.contains("empty"), "{empty}");
    }

    #[test]
    fn members_are_found_in_any_case_and_null_is_absent() {
        let body = json!({"DEVICEID": "d1", "status": null, "n": "30", "m": 30.0, "flag": "True"});
        let fields = Fields::of_body(&body).unwrap();
        assert_eq!(fields.text("deviceId").unwrap(), Some("d1"));
        assert_eq!(fields.text("status").unwrap(), None);
        assert_eq!(fields.whole("n").unwrap(), Some(30));
        assert_eq!(fields.whole("m").unwrap(), Some(30));
        assert_eq!(fields.boolean("flag").unwrap(), Some(true));
    }

    #[test]
    fn an_error_names_the_place() {
        let body = json!({"a": {"b": 3}});
        let inner = Fields::of_body(&body)
            .unwrap()
            .object("a")
            .unwrap()
            .unwrap();
        assert_eq!(
            inner.text("b").unwrap_err().to_string(),
            "'a.b': a string was expected, found a number"
        );
        assert!(parse(b" ").unwrap_err().to_string().contains("empty"));
        assert!(
            parse(b"{\"a\":")
                .unwrap_err()
                .to_string()
                .contains("not JSON")
        );
    }

    // H22
    #[test]
    fn whole_numbers_that_would_change_are_found() {
        for (json, found) in [
            (r#"{"a": 18446744073709551616}"#, true),
            (r#"{"a": [123456789012345678901234567890]}"#, true),
            (r#"{"a": -9223372036854775809}"#, true),
            ("18446744073709551616", true),
            (
                r#"{"a": 18446744073709551615, "b": -9223372036854775808}"#,
                false,
            ),
            (
                r#"{"a": 1e300, "b": 12345678901234567890123.5, "c": 1E+30}"#,
                false,
            ),
            (
                r#"{"123456789012345678901234567890": "\"123456789012345678901234567890\\"}"#,
                false,
            ),
        ] {
            let bytes = json.as_bytes();
            assert_eq!(inexact_number(bytes).is_some(), found, "{json}");
            assert_eq!(parse_exactly(bytes).is_err(), found, "{json}");
        }
        let long = inexact_number("9".repeat(500).as_bytes()).unwrap();
        assert!(long.len() < 60 && long.contains("500 digits"), "{long}");
    }

    #[test]
    fn deep_bodies_are_refused() {
        let deep = format!("{}1{}", "[".repeat(80), "]".repeat(80));
        assert!(
            parse(deep.as_bytes())
                .unwrap_err()
                .to_string()
                .contains("deeper")
        );
    }
}
