//! `createOptions`: the JSON of the engine's ContainerCreate, as a deployment gives it.
//!
//! The engine takes member names in any case, and of two spellings the later one; Azure's agent
//! converts numbers, texts and truth values into each other. So does this: what is merged in later
//! finds every member under its one name.

mod members;

use serde_json::{Map, Number, Value};

use self::members::{CONTAINER, Kind, LOG_CONFIG, Members};
use crate::lenient::{BodyError, kind};

/// Read and put into the engine's own spelling.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CreateOptions {
    given: Map<String, Value>,
    body: Map<String, Value>,
    unknown: Vec<String>,
}

impl CreateOptions {
    /// Reads the options, and converts each member to the kind that the engine takes.
    ///
    /// # Errors
    /// When a member is of a kind that the engine does not take; the path names it.
    pub fn read(given: Map<String, Value>) -> Result<Self, BodyError> {
        let mut reader = Reader::default();
        let body = reader.members(CONTAINER, &given, "")?;
        Ok(Self {
            given,
            body,
            unknown: reader.unknown,
        })
    }

    /// As the deployment spells them, for reports: of the environment only the names.
    #[must_use]
    pub fn without_values(&self) -> Map<String, Value> {
        let mut options = self.given.clone();
        let environments = options
            .iter_mut()
            .filter(|(name, _)| fold(name) == fold("Env"));
        for (_, env) in environments {
            for item in env.as_array_mut().into_iter().flatten() {
                let name = item
                    .as_str()
                    .and_then(|text| text.split('=').next())
                    .unwrap_or_default();
                *item = Value::from(name);
            }
        }
        options
    }

    /// As the engine spells them. What the table of its members lacks is in it as it was given.
    #[must_use]
    pub fn body(&self) -> &Map<String, Value> {
        &self.body
    }

    /// Paths of the members that no engine known to this program takes.
    #[must_use]
    pub fn unknown(&self) -> &[String] {
        &self.unknown
    }
}

/// Reads a `LogConfig` on its own: `loggingOptions` of a deployment.
pub(super) fn log_config(given: &Map<String, Value>) -> Result<Map<String, Value>, BodyError> {
    Reader::default().members(LOG_CONFIG, given, "")
}

#[derive(Default)]
struct Reader {
    unknown: Vec<String>,
}

impl Reader {
    fn members(
        &mut self,
        known: Members,
        given: &Map<String, Value>,
        path: &str,
    ) -> Result<Map<String, Value>, BodyError> {
        let mut read = Map::new();
        for (name, value) in given.iter().filter(|(_, value)| !value.is_null()) {
            let folded = fold(name);
            match known.iter().find(|(known, _)| fold(known) == folded) {
                Some((known, kind)) => {
                    let value = self.value(kind, value, &below(path, known))?;
                    merge(&mut read, known, value);
                }
                None => {
                    self.unknown.push(below(path, name));
                    read.insert(name.clone(), value.clone());
                }
            }
        }
        Ok(read)
    }

    fn value(&mut self, kind: &Kind, value: &Value, path: &str) -> Result<Value, BodyError> {
        let found = match (kind, value) {
            (_, Value::Null) => Some(Value::Null),
            (Kind::Text, value) => text(value),
            (Kind::Whole, value) => whole(value),
            (Kind::Truth, value) => truth(value),
            (Kind::Words, Value::Array(items)) => Some(self.list(&Kind::Text, items, path)?),
            (Kind::Words, word) => text(word).map(|word| Value::Array(vec![word])),
            (Kind::List(of), Value::Array(items)) => Some(self.list(of, items, path)?),
            (Kind::Map(of), Value::Object(entries)) => {
                let mut read = Map::new();
                for (key, entry) in entries {
                    let entry = self.value(of, entry, &below(path, key))?;
                    read.insert(key.clone(), entry);
                }
                Some(Value::Object(read))
            }
            (Kind::Members(known), Value::Object(given)) => {
                Some(Value::Object(self.members(known, given, path)?))
            }
            _ => None,
        };
        found.ok_or_else(|| wrong(kind, value, path))
    }

    fn list(&mut self, of: &Kind, items: &[Value], path: &str) -> Result<Value, BodyError> {
        let mut read = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            read.push(self.value(of, item, &format!("{path}[{index}]"))?);
        }
        Ok(Value::Array(read))
    }
}

fn wrong(expected: &Kind, found: &Value, path: &str) -> BodyError {
    let expected = match expected {
        Kind::Text => "a string",
        Kind::Whole => "a whole number",
        Kind::Truth => "true or false",
        Kind::Words => "a string or an array of strings",
        Kind::List(_) => "an array",
        Kind::Map(_) | Kind::Members(_) => "an object",
    };
    let found = match found {
        // "A whole number was expected, found a string" would leave open which one.
        Value::String(text) if text.len() <= 40 => format!("the string {text:?}"),
        other => kind(other).to_owned(),
    };
    BodyError::new(path, format!("{expected} was expected, found {found}"))
}

fn text(value: &Value) -> Option<Value> {
    match value {
        Value::String(_) => Some(value.clone()),
        Value::Number(_) | Value::Bool(_) => Some(Value::from(value.to_string())),
        _ => None,
    }
}

fn whole(value: &Value) -> Option<Value> {
    match value {
        Value::Number(number) if number.is_i64() || number.is_u64() => Some(value.clone()),
        Value::Number(number) => crate::lenient::whole_float(number.as_f64()).map(Value::from),
        Value::String(text) => {
            let number = text.trim().parse::<i64>().ok()?;
            Some(Value::Number(Number::from(number)))
        }
        _ => None,
    }
}

fn truth(value: &Value) -> Option<Value> {
    match value {
        Value::Bool(_) => Some(value.clone()),
        Value::String(text) if text.trim().eq_ignore_ascii_case("true") => Some(Value::Bool(true)),
        Value::String(text) if text.trim().eq_ignore_ascii_case("false") => {
            Some(Value::Bool(false))
        }
        Value::Number(number) => Some(Value::Bool(number.as_f64() != Some(0.0))),
        _ => None,
    }
}

/// Two spellings of one member: the engine puts objects into each other
/// and replaces everything else.
fn merge(read: &mut Map<String, Value>, name: &str, value: Value) {
    match (read.get_mut(name), value) {
        (Some(Value::Object(before)), Value::Object(later)) => {
            for (name, value) in later {
                merge(before, &name, value);
            }
        }
        (_, value) => drop(read.insert(name.to_owned(), value)),
    }
}

fn below(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// Folds as the engine's JSON reader does: letters of either case, and the two signs outside ASCII
/// that count as such letters.
fn fold(name: &str) -> String {
    name.chars()
        .map(|c| match c {
            '\u{17f}' => 's',
            '\u{212a}' => 'k',
            other => other.to_ascii_lowercase(),
        })
        .collect()
}

#[cfg(test)]
mod tests;
