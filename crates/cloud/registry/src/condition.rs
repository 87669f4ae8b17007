//! Target conditions of deployments: `tags.site = 'Seoul' AND NOT deviceId IN ['a', 'b']`.
//!
//! A condition looks at `deviceId`, `tags.…` and `properties.reported.…`. Texts stand in single
//! quotes, a quote inside is doubled or behind a backslash, a backslash is doubled, and `\u0034` is
//! a character by its number. A property that is missing makes a comparison neither true nor false,
//! and only what is true counts; so does `NOT` of it. `*` is every device, an empty condition none.
//! Words (`AND`, `OR`, `NOT`, `IN`) in any case.

mod evaluate;
mod parse;
mod scan;

use serde_json::{Map, Value};

/// Why a condition cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at position {position}: {problem}")]
pub struct ConditionError {
    /// Characters from the start of the condition, from 0.
    pub position: usize,
    /// What is wrong there, with what was expected.
    pub problem: String,
}

/// A condition that has been read.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition(Targets);

#[derive(Debug, Clone, PartialEq)]
enum Targets {
    All,
    None,
    Matching(Expression),
}

#[derive(Debug, Clone, PartialEq)]
enum Expression {
    And(Vec<Expression>),
    Or(Vec<Expression>),
    Not(Box<Expression>),
    Compare {
        left: Operand,
        comparison: Comparison,
        right: Operand,
    },
    In {
        left: Operand,
        list: Vec<Value>,
    },
}

#[derive(Debug, Clone, PartialEq)]
enum Operand {
    DeviceId,
    Tag(Vec<String>),
    Reported(Vec<String>),
    Literal(Value),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What conditions look at.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    pub device_id: &'a str,
    pub tags: &'a Map<String, Value>,
    pub reported: &'a Map<String, Value>,
}

impl Condition {
    /// Parses a condition, such as `tags.site = 'north'`; `*` selects all devices.
    pub fn parse(text: &str) -> Result<Self, ConditionError> {
        match text.trim() {
            "" => Ok(Self(Targets::None)),
            "*" => Ok(Self(Targets::All)),
            _ => parse::parse(text).map(|expression| Self(Targets::Matching(expression))),
        }
    }

    /// Whether a device matches.
    #[must_use]
    pub fn matches(&self, facts: Facts<'_>) -> bool {
        match &self.0 {
            Targets::All => true,
            Targets::None => false,
            Targets::Matching(expression) => evaluate::evaluate(expression, facts) == Some(true),
        }
    }

    /// Whether reported properties matter.
    #[must_use]
    pub fn reads_reported(&self) -> bool {
        match &self.0 {
            Targets::All | Targets::None => false,
            Targets::Matching(expression) => {
                expression.any_operand(&|operand| matches!(operand, Operand::Reported(_)))
            }
        }
    }
}

impl Expression {
    fn any_operand(&self, is: &impl Fn(&Operand) -> bool) -> bool {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter().any(|part| part.any_operand(is)),
            Self::Not(inner) => inner.any_operand(is),
            Self::Compare { left, right, .. } => is(left) || is(right),
            Self::In { left, .. } => is(left),
        }
    }
}

#[cfg(test)]
mod tests;
