//! Values while a condition is evaluated.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::Value as Json;

use super::ast::{Comparison, Operator};

/// What an expression comes to.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    Undefined,
    Null,
    Bool(bool),
    Number(f64),
    Text(Cow<'a, str>),
    /// An object or an array.
    Composite(Cow<'a, Json>),
}

impl<'a> From<&'a Json> for Value<'a> {
    fn from(json: &'a Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(truth) => Self::Bool(*truth),
            Json::Number(number) => number.as_f64().map_or(Self::Undefined, Self::Number),
            Json::String(text) => Self::Text(Cow::Borrowed(text)),
            Json::Array(_) | Json::Object(_) => Self::Composite(Cow::Borrowed(json)),
        }
    }
}

impl<'a> From<Option<&'a Json>> for Value<'a> {
    fn from(found: Option<&'a Json>) -> Self {
        found.map_or(Self::Undefined, Self::from)
    }
}

impl From<Json> for Value<'_> {
    fn from(json: Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(truth) => Self::Bool(truth),
            Json::Number(number) => number.as_f64().map_or(Self::Undefined, Self::Number),
            Json::String(text) => Self::Text(Cow::Owned(text)),
            Json::Array(_) | Json::Object(_) => Self::Composite(Cow::Owned(json)),
        }
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<bool> for Value<'_> {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl Value<'_> {
    /// Neither an object nor an array, and defined.
    #[must_use]
    pub fn is_primitive(&self) -> bool {
        !matches!(self, Self::Undefined | Self::Composite(_))
    }

    pub(super) fn truth(&self) -> Option<bool> {
        match self {
            Self::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A number that there is, else undefined.
    pub(super) fn from_number(number: f64) -> Self {
        match number.is_finite() {
            true => Self::Number(number),
            false => Self::Undefined,
        }
    }

    /// The JSON of what is defined. Whole numbers have no fraction.
    #[must_use]
    pub fn into_json(self) -> Option<Json> {
        match self {
            Self::Undefined => None,
            Self::Null => Some(Json::Null),
            Self::Bool(truth) => Some(truth.into()),
            Self::Number(number) => Some(number_to_json(number)),
            Self::Text(text) => Some(text.into_owned().into()),
            Self::Composite(json) => Some(json.into_owned()),
        }
    }

    /// `None` is undefined.
    pub(super) fn compare(&self, comparison: Comparison, right: &Value<'_>) -> Option<bool> {
        let order = match (self, right) {
            (Self::Text(left), Value::Text(right)) => left.as_bytes().cmp(right.as_bytes()),
            (Self::Bool(left), Value::Bool(right)) => left.cmp(right),
            (Self::Number(left), Value::Number(right)) => left.partial_cmp(right)?,
            (Self::Null, Value::Null) => Ordering::Equal,
            (Self::Null, other) | (other, Value::Null) if other.is_primitive() => {
                return against_null(comparison);
            }
            (Self::Composite(_), Value::Null) | (Self::Null, Value::Composite(_)) => {
                return against_null(comparison);
            }
            _ => return None,
        };
        Some(match comparison {
            Comparison::Equal => order.is_eq(),
            Comparison::NotEqual => order.is_ne(),
            Comparison::Less => order.is_lt(),
            Comparison::LessOrEqual => order.is_le(),
            Comparison::Greater => order.is_gt(),
            Comparison::GreaterOrEqual => order.is_ge(),
        })
    }
}

/// Something defined that is not `null`, compared with `null`.
fn against_null(comparison: Comparison) -> Option<bool> {
    match comparison {
        Comparison::Equal => Some(false),
        Comparison::NotEqual => Some(true),
        _ => None,
    }
}

/// Numbers beyond this are not whole in 64 bits of floating point.
const WHOLE: f64 = 9_007_199_254_740_992.0;

pub(super) fn number_to_json(number: f64) -> Json {
    match number.fract() == 0.0 && number.abs() <= WHOLE {
        #[expect(clippy::cast_possible_truncation, reason = "whole and within 53 bits")]
        true => Json::from(number as i64),
        false => Json::from(number),
    }
}

impl Operator {
    pub(super) fn apply(self, left: f64, right: f64) -> f64 {
        match self {
            Self::Add => left + right,
            Self::Subtract => left - right,
            Self::Multiply => left * right,
            Self::Divide => left / right,
            Self::Remainder => left % right,
        }
    }
}
