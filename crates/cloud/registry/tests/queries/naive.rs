//! Conditions as trees of their own, evaluated over whole JSON documents.

use std::cmp::Ordering;

use serde_json::Value;

#[derive(Debug, Clone)]
pub(crate) enum Condition {
    Or(Vec<Condition>),
    And(Vec<Condition>),
    Not(Box<Condition>),
    Compare(Operand, &'static str, Operand),
    In(Operand, Vec<Value>, bool),
    /// A function of a path, and of a constant.
    Call(&'static str, String, Option<Value>),
    /// A path alone.
    Truth(String),
}

#[derive(Debug, Clone)]
pub(crate) enum Operand {
    Path(String),
    Constant(Value),
    Arithmetic(Box<Operand>, &'static str, Box<Operand>),
    /// A function of a string.
    OfText(&'static str, String),
}

/// What a query language knows and JSON does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Truth {
    Yes,
    No,
    Unknown,
}

impl Condition {
    pub(crate) fn text(&self) -> String {
        let joined = |parts: &[Self], word: &str| {
            let parts: Vec<_> = parts
                .iter()
                .map(|part| format!("({})", part.text()))
                .collect();
            parts.join(word)
        };
        match self {
            Self::Or(parts) => joined(parts, " OR "),
            Self::And(parts) => joined(parts, " and "),
            Self::Not(inner) => format!("NOT ({})", inner.text()),
            Self::Compare(left, sign, right) => {
                format!("{} {sign} {}", left.text(), right.text())
            }
            Self::In(item, list, negated) => {
                let list: Vec<_> = list.iter().map(literal).collect();
                let word = if *negated { "NIN" } else { "IN" };
                format!("{} {word} [{}]", item.text(), list.join(", "))
            }
            Self::Call(name, path, None) => format!("{name}({path})"),
            Self::Call(name, path, Some(constant)) => {
                format!("{name}({path}, {})", literal(constant))
            }
            Self::Truth(path) => path.clone(),
        }
    }

    pub(crate) fn ask(&self, document: &Value) -> Truth {
        match self {
            Self::And(parts) => {
                let all: Vec<_> = parts.iter().map(|part| part.ask(document)).collect();
                match (all.contains(&Truth::No), all.contains(&Truth::Unknown)) {
                    (true, _) => Truth::No,
                    (false, true) => Truth::Unknown,
                    (false, false) => Truth::Yes,
                }
            }
            Self::Or(parts) => {
                let all: Vec<_> = parts.iter().map(|part| part.ask(document)).collect();
                match (all.contains(&Truth::Yes), all.contains(&Truth::Unknown)) {
                    (true, _) => Truth::Yes,
                    (false, true) => Truth::Unknown,
                    (false, false) => Truth::No,
                }
            }
            Self::Not(inner) => not(inner.ask(document)),
            Self::Compare(left, sign, right) => {
                compare(left.value(document), sign, right.value(document))
            }
            Self::In(item, list, negated) => {
                let truth = match item.value(document) {
                    None | Some(Value::Array(_) | Value::Object(_)) => Truth::Unknown,
                    Some(value) => {
                        let equal = |one: &Value| {
                            compare(Some(value.clone()), "=", Some(one.clone())) == Truth::Yes
                        };
                        truth(list.iter().any(equal))
                    }
                };
                if *negated { not(truth) } else { truth }
            }
            Self::Call(name, path, constant) => {
                let value = look_up(document, path);
                match constant {
                    None => truth(is(name, value.as_ref())),
                    Some(constant) => related(name, value, constant),
                }
            }
            Self::Truth(path) => match look_up(document, path) {
                Some(Value::Bool(yes)) => truth(yes),
                _ => Truth::Unknown,
            },
        }
    }
}

/// Whether a value is what a function asks for; nothing that is missing is.
fn is(name: &str, value: Option<&Value>) -> bool {
    let Some(value) = value else { return false };
    match name.to_lowercase().as_str() {
        "is_defined" => true,
        "is_null" => value.is_null(),
        "is_bool" => value.is_boolean(),
        "is_number" => value.is_number(),
        "is_string" => value.is_string(),
        "is_object" => value.is_object(),
        "is_array" => value.is_array(),
        _ => !value.is_object() && !value.is_array(),
    }
}

fn related(name: &str, value: Option<Value>, constant: &Value) -> Truth {
    match (name.to_lowercase().as_str(), value, constant) {
        ("array_contains", Some(Value::Array(elements)), wanted) => {
            let equal = |one: Value| compare(Some(one), "=", Some(wanted.clone())) == Truth::Yes;
            truth(elements.into_iter().any(equal))
        }
        ("startswith" | "starts_with", Some(Value::String(text)), Value::String(part)) => {
            truth(text.starts_with(part.as_str()))
        }
        ("ends_with", Some(Value::String(text)), Value::String(part)) => {
            truth(text.ends_with(part.as_str()))
        }
        ("contains", Some(Value::String(text)), Value::String(part)) => {
            truth(text.contains(part.as_str()))
        }
        _ => Truth::Unknown,
    }
}

fn truth(yes: bool) -> Truth {
    if yes { Truth::Yes } else { Truth::No }
}

fn not(truth: Truth) -> Truth {
    match truth {
        Truth::Yes => Truth::No,
        Truth::No => Truth::Yes,
        Truth::Unknown => Truth::Unknown,
    }
}

fn compare(left: Option<Value>, sign: &str, right: Option<Value>) -> Truth {
    let (Some(left), Some(right)) = (left, right) else {
        return Truth::Unknown;
    };
    let order = match (&left, &right) {
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) | (_, Value::Null) => {
            return match sign {
                "=" => Truth::No,
                "!=" | "<>" => Truth::Yes,
                _ => Truth::Unknown,
            };
        }
        (Value::Bool(left), Value::Bool(right)) => left.cmp(right),
        (Value::String(left), Value::String(right)) => left.as_bytes().cmp(right.as_bytes()),
        (Value::Number(left), Value::Number(right)) => {
            let (left, right) = (left.as_f64().unwrap(), right.as_f64().unwrap());
            left.partial_cmp(&right).unwrap()
        }
        _ => return Truth::Unknown,
    };
    truth(match sign {
        "=" => order == Ordering::Equal,
        "!=" | "<>" => order != Ordering::Equal,
        "<" => order == Ordering::Less,
        "<=" => order != Ordering::Greater,
        ">" => order == Ordering::Greater,
        _ => order != Ordering::Less,
    })
}

impl Operand {
    fn text(&self) -> String {
        match self {
            Self::Path(path) => path.clone(),
            Self::Constant(value) => literal(value),
            Self::Arithmetic(left, sign, right) => {
                format!("({} {sign} {})", left.text(), right.text())
            }
            Self::OfText(name, path) => format!("{name}({path})"),
        }
    }

    fn value(&self, document: &Value) -> Option<Value> {
        match self {
            Self::Path(path) => look_up(document, path),
            Self::Constant(value) => Some(value.clone()),
            Self::Arithmetic(left, sign, right) => {
                let (left, right) = (left.value(document)?, right.value(document)?);
                let (left, right) = (left.as_f64()?, right.as_f64()?);
                let result = match *sign {
                    "+" => left + right,
                    "-" => left - right,
                    "*" => left * right,
                    "/" => left / right,
                    _ => left % right,
                };
                // A fraction by zero has no value.
                result.is_finite().then(|| result.into())
            }
            Self::OfText(name, path) => {
                let value = look_up(document, path)?;
                let text = value.as_str()?;
                Some(match *name {
                    "LOWER" => text.to_lowercase().into(),
                    "Upper" => text.to_uppercase().into(),
                    _ => text.chars().count().into(),
                })
            }
        }
    }
}

/// A path of names and `[n]`.
pub(crate) fn look_up(document: &Value, path: &str) -> Option<Value> {
    let pointer = path.replace('[', ".").replace(']', "");
    let mut value = document;
    for part in pointer.split('.') {
        value = match value {
            Value::Object(members) => members.get(part)?,
            Value::Array(elements) => elements.get(part.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    Some(value.clone())
}

fn literal(value: &Value) -> String {
    match value {
        Value::String(text) => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''")),
        other => other.to_string(),
    }
}
