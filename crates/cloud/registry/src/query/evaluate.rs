//! What an expression comes to. The rules are the table of the module above.

use std::borrow::Cow;

use serde_json::Value as Json;

use super::ast::{Comparison, Expression, Node, Operator, Path};
use super::value::Value;

mod call;

/// Where paths lead: a twin, a message, what a job did to a device.
pub trait Scope {
    /// The value at a path; [`Value::Undefined`] when the path leads nowhere.
    fn resolve<'a>(&'a self, path: &Path) -> Value<'a>;
}

impl Expression {
    /// Whether the expression is true.
    #[must_use]
    pub fn holds(&self, scope: &impl Scope) -> bool {
        self.evaluate(scope).truth() == Some(true)
    }

    #[must_use]
    pub fn evaluate<'a>(&'a self, scope: &'a impl Scope) -> Value<'a> {
        match &self.node {
            Node::And(parts) => decided(parts, scope, false),
            Node::Or(parts) => decided(parts, scope, true),
            Node::Not(inner) => truth(inner.evaluate(scope).truth().map(|truth| !truth)),
            Node::Compare(left, comparison, right) => {
                let (left, right) = (left.evaluate(scope), right.evaluate(scope));
                truth(left.compare(*comparison, &right))
            }
            Node::In(item, list) => contained(&item.evaluate(scope), list),
            Node::Arithmetic(first, rest) => arithmetic(first, rest, scope),
            Node::Negative(inner) => match inner.evaluate(scope) {
                Value::Number(number) => Value::Number(-number),
                _ => Value::Undefined,
            },
            Node::Call(function, arguments) => call::call(*function, arguments, scope),
            Node::Path(path) => scope.resolve(path),
            Node::Literal(value) => Value::from(value),
            Node::Undefined => Value::Undefined,
        }
    }
}

fn truth<'a>(truth: Option<bool>) -> Value<'a> {
    truth.map_or(Value::Undefined, Value::Bool)
}

/// One part that is `decider` decides; otherwise one that is undefined leaves all undefined.
fn decided<'a>(parts: &[Expression], scope: &impl Scope, decider: bool) -> Value<'a> {
    let mut result = Some(!decider);
    for part in parts {
        match part.evaluate(scope).truth() {
            Some(truth) if truth == decider => return Value::Bool(decider),
            Some(_) => {}
            None => result = None,
        }
    }
    truth(result)
}

fn contained<'a>(item: &Value<'_>, list: &[Json]) -> Value<'a> {
    let equal = |one: &Json| item.compare(Comparison::Equal, &Value::from(one)) == Some(true);
    match item.is_primitive() {
        true => Value::Bool(list.iter().any(equal)),
        false => Value::Undefined,
    }
}

fn arithmetic<'a>(
    first: &Expression,
    rest: &[(Operator, Expression)],
    scope: &impl Scope,
) -> Value<'a> {
    let begin = first.evaluate(scope).number();
    let step = |left: f64, (operator, part): &(Operator, Expression)| {
        Some(operator.apply(left, part.evaluate(scope).number()?))
    };
    match begin.and_then(|begin| rest.iter().try_fold(begin, step)) {
        Some(number) => Value::from_number(number),
        None => Value::Undefined,
    }
}

fn text<'a>(text: String) -> Value<'a> {
    Value::Text(Cow::Owned(text))
}

#[cfg(test)]
mod tests;
