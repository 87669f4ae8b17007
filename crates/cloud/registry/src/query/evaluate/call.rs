//! The functions. What they have no result for is undefined.

use serde_json::Value as Json;

use super::{Scope, text};
use crate::query::ast::{Comparison, Expression};
use crate::query::function::Function;
use crate::query::value::Value;

pub(super) fn call<'a>(
    function: Function,
    arguments: &'a [Expression],
    scope: &'a impl Scope,
) -> Value<'a> {
    let values: Vec<_> = arguments.iter().map(|one| one.evaluate(scope)).collect();
    let Some(first) = values.first() else {
        return Value::Undefined;
    };
    let result = match function {
        Function::ArrayContains => array_contains(first, values.get(1)),
        Function::Contains => texts(&values, |text, part| text.contains(part)),
        Function::StartsWith => texts(&values, |text, part| text.starts_with(part)),
        Function::EndsWith => texts(&values, |text, part| text.ends_with(part)),
        Function::Concat => concat(&values),
        Function::IndexOf => index_of(&values),
        Function::Substring => substring(&values),
        Function::Length => first.text().map(|text| count(text.chars().count())),
        Function::Lower => first.text().map(|one| text(one.to_lowercase())),
        Function::Upper => first.text().map(|one| text(one.to_uppercase())),
        Function::AsNumber => as_number(first),
        Function::IsArray => Some(composite(first, Json::is_array).into()),
        Function::IsObject => Some(composite(first, Json::is_object).into()),
        Function::IsBool => Some(matches!(first, Value::Bool(_)).into()),
        Function::IsDefined => Some((*first != Value::Undefined).into()),
        Function::IsNull => Some(matches!(first, Value::Null).into()),
        Function::IsNumber => Some(matches!(first, Value::Number(_)).into()),
        Function::IsString => Some(matches!(first, Value::Text(_)).into()),
        Function::IsPrimitive => Some(first.is_primitive().into()),
        Function::Power => power(&values),
        _ => first
            .number()
            .map(|number| Value::from_number(mathematical(function, number))),
    };
    result.unwrap_or(Value::Undefined)
}

fn mathematical(function: Function, number: f64) -> f64 {
    match function {
        Function::Abs => number.abs(),
        Function::Ceiling => number.ceil(),
        Function::Exp => number.exp(),
        Function::Floor => number.floor(),
        Function::Sign if number == 0.0 => 0.0,
        Function::Sign => number.signum(),
        Function::Sqrt => number.sqrt(),
        Function::Square => number * number,
        _ => f64::NAN,
    }
}

fn power<'a>(values: &[Value<'_>]) -> Option<Value<'a>> {
    let [base, exponent] = values else {
        return None;
    };
    Some(Value::from_number(base.number()?.powf(exponent.number()?)))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "characters of a text that is in memory"
)]
fn count<'a>(number: usize) -> Value<'a> {
    Value::Number(number as f64)
}

fn composite(value: &Value<'_>, is: fn(&Json) -> bool) -> bool {
    matches!(value, Value::Composite(json) if is(json))
}

fn texts<'a>(values: &[Value<'_>], compare: fn(&str, &str) -> bool) -> Option<Value<'a>> {
    let [text, part] = values else { return None };
    Some(compare(text.text()?, part.text()?).into())
}

/// Whether an element of an array equals a primitive value.
fn array_contains<'a>(array: &Value<'_>, wanted: Option<&Value<'_>>) -> Option<Value<'a>> {
    let Value::Composite(json) = array else {
        return None;
    };
    let wanted = wanted.filter(|wanted| wanted.is_primitive())?;
    let equal = |one: &Json| wanted.compare(Comparison::Equal, &Value::from(one)) == Some(true);
    Some(json.as_array()?.iter().any(equal).into())
}

/// Longest text that `CONCAT` makes, in bytes.
const MAX_CONCAT: usize = 64 * 1024;

fn concat<'a>(values: &[Value<'_>]) -> Option<Value<'a>> {
    let mut whole = String::new();
    for value in values {
        whole.push_str(value.text()?);
        if whole.len() > MAX_CONCAT {
            return None;
        }
    }
    Some(text(whole))
}

/// Where a text begins inside another, in characters; -1 when it does not.
fn index_of<'a>(values: &[Value<'_>]) -> Option<Value<'a>> {
    let [whole, part] = values else { return None };
    let (whole, part) = (whole.text()?, part.text()?);
    Some(match whole.find(part) {
        Some(at) => count(whole[..at].chars().count()),
        None => Value::Number(-1.0),
    })
}

/// From a character on, counted from 0: so many, or all.
fn substring<'a>(values: &[Value<'_>]) -> Option<Value<'a>> {
    let whole = values.first()?.text()?;
    let start = position(values.get(1)?)?;
    let rest = whole.chars().skip(start);
    Some(text(match values.get(2) {
        Some(length) => rest.take(position(length)?).collect(),
        None => rest.collect(),
    }))
}

/// A whole number from 0.
fn position(value: &Value<'_>) -> Option<usize> {
    let number = value.number()?;
    let whole = number >= 0.0 && number.fract() == 0.0 && number <= f64::from(u32::MAX);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a whole number within 32 bits"
    )]
    whole.then_some(number as usize)
}

/// A number that stands in a text; a number stays itself.
fn as_number<'a>(value: &Value<'_>) -> Option<Value<'a>> {
    match value {
        Value::Number(number) => Some(Value::Number(*number)),
        Value::Text(text) => {
            let text = text.trim();
            let digit =
                text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
            let number = text.parse().ok().filter(|_| digit);
            number.map(Value::from_number)
        }
        _ => None,
    }
}
