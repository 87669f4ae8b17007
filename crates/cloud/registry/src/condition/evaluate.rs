use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::{Comparison, Expression, Facts, Operand};

/// `None` is "cannot be told": a property is missing, or two values have no order.
pub(super) fn evaluate(expression: &Expression, facts: Facts<'_>) -> Option<bool> {
    match expression {
        Expression::And(parts) => decided(parts, facts, false),
        Expression::Or(parts) => decided(parts, facts, true),
        Expression::Not(inner) => evaluate(inner, facts).map(|truth| !truth),
        Expression::Compare {
            left,
            comparison,
            right,
        } => compare(&*value(left, facts)?, *comparison, &*value(right, facts)?),
        Expression::In { left, list } => {
            let left = value(left, facts)?;
            Some(
                list.iter()
                    .any(|item| compare(&left, Comparison::Equal, item) == Some(true)),
            )
        }
    }
}

/// One part that is `decider` decides; otherwise one that cannot be told leaves all untold.
fn decided(parts: &[Expression], facts: Facts<'_>, decider: bool) -> Option<bool> {
    let mut result = Some(!decider);
    for part in parts {
        match evaluate(part, facts) {
            Some(truth) if truth == decider => return Some(decider),
            Some(_) => {}
            None => result = None,
        }
    }
    result
}

fn value<'a>(operand: &'a Operand, facts: Facts<'a>) -> Option<Cow<'a, Value>> {
    match operand {
        Operand::DeviceId => Some(Cow::Owned(facts.device_id.into())),
        Operand::Tag(path) => at(facts.tags, path).map(Cow::Borrowed),
        Operand::Reported(path) => at(facts.reported, path).map(Cow::Borrowed),
        Operand::Literal(literal) => Some(Cow::Borrowed(literal)),
    }
}

fn at<'a>(document: &'a Map<String, Value>, path: &[String]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(document.get(first)?, |value, name| {
        value.as_object()?.get(name)
    })
}

/// Only primitives compare. Values of different kinds are unequal and have no order.
fn compare(left: &Value, comparison: Comparison, right: &Value) -> Option<bool> {
    let order = match (left, right) {
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        (Value::Number(left), Value::Number(right)) => left.as_f64()?.partial_cmp(&right.as_f64()?),
        (Value::Array(_) | Value::Object(_) | Value::Null, _)
        | (_, Value::Array(_) | Value::Object(_) | Value::Null) => {
            return None;
        }
        _ => None,
    };
    match comparison {
        Comparison::Equal => Some(order == Some(Ordering::Equal)),
        Comparison::NotEqual => Some(order != Some(Ordering::Equal)),
        Comparison::Less => order.map(Ordering::is_lt),
        Comparison::LessOrEqual => order.map(Ordering::is_le),
        Comparison::Greater => order.map(Ordering::is_gt),
        Comparison::GreaterOrEqual => order.map(Ordering::is_ge),
    }
}
