//! The query language: twin and job queries, target conditions, conditions of jobs and of routes.
//!
//! [`parse_condition`] and [`Query::parse`] give one tree ([`Expression`]) with positions;
//! [`evaluate`](Expression::evaluate) asks a [`Scope`] what its paths mean and knows nothing of
//! twins or messages.
//!
//! An expression has a value or is *undefined*:
//!
//! | expression | result |
//! |---|---|
//! | a path to nothing | undefined |
//! | `=`, `!=`, `<`, … of two numbers, two strings, two booleans | true or false; strings by bytes |
//! | `=`, `!=` with `null` on one side | true or false: `null` equals only `null` |
//! | a comparison with undefined, an object, an array, or of unlike types | undefined |
//! | `x IN […]`, `x NIN […]` | true or false when `x` is a primitive value, else undefined |
//! | `NOT x` | undefined unless `x` is a boolean |
//! | `AND` | false when a part is false, else undefined when a part is no boolean, else true |
//! | `OR` | true when a part is true, else undefined when a part is no boolean, else false |
//! | `+ - * / %` | a number, or undefined: for operands that are no numbers, for division by zero |
//! | a function of arguments that it has no result for | undefined; `IS_…` is false |
//!
//! A condition holds only when it is true.

mod ast;
pub(crate) mod collect;
pub(crate) mod cursor;
mod evaluate;
mod function;
mod lexer;
pub(crate) mod needs;
mod parse;
pub(crate) mod plan;
pub(crate) mod twin;
mod value;

pub use ast::{
    Aggregate, Collection, Comparison, Expression, Node, Operator, Path, Query, Segment,
    SelectItem, Selected, Selection,
};
pub use evaluate::Scope;
pub use function::Function;
pub use lexer::Quotes;
pub use parse::{Limits, MAX_TEXT, ParseError, parse_condition, parse_condition_within};
pub use twin::Connection;
pub use value::Value;
