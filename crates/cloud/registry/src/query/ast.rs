//! The tree of a query. Positions count characters from 0.

use serde_json::Value as Json;

use super::function::Function;

/// A whole query: `SELECT … FROM … WHERE … GROUP BY …`.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// `TOP n`: how many rows at most.
    pub top: Option<u64>,
    pub selection: Selection,
    pub from: Collection,
    pub condition: Option<Expression>,
    pub group_by: Vec<Path>,
    /// Tells it from other queries: continuations belong to one.
    pub fingerprint: u64,
}

impl Query {
    /// Whether its rows are totals of many twins.
    #[must_use]
    pub fn is_aggregated(&self) -> bool {
        let aggregate = |item: &SelectItem| matches!(item.selected, Selected::Aggregate(_));
        match &self.selection {
            Selection::All => false,
            Selection::Items(items) => !self.group_by.is_empty() || items.iter().any(aggregate),
        }
    }
}

/// What follows `FROM`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collection {
    /// `devices`: twins of devices.
    Devices,
    /// `devices.modules`: twins of modules.
    Modules,
    /// `devices.jobs`: what jobs did to each device.
    Jobs,
}

impl Collection {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Devices => "devices",
            Self::Modules => "devices.modules",
            Self::Jobs => "devices.jobs",
        }
    }
}

/// What follows `SELECT`.
#[derive(Debug, Clone, PartialEq)]
pub enum Selection {
    /// `*`: whole documents.
    All,
    Items(Vec<SelectItem>),
}

/// A member of each row.
#[derive(Debug, Clone, PartialEq)]
pub struct SelectItem {
    /// The alias, else the last part of the path, else `$1`, `$2`, … by place.
    pub name: String,
    pub selected: Selected,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Selected {
    Path(Path),
    Aggregate(Aggregate),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Aggregate {
    Count,
    Average(Path),
    Sum(Path),
    Minimum(Path),
    Maximum(Path),
}

/// A part of a condition, with its position.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    pub at: usize,
    pub node: Node,
}

/// Chains are lists and not nested pairs: the depth of a tree is that of its parentheses.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    Or(Vec<Expression>),
    And(Vec<Expression>),
    Not(Box<Expression>),
    Compare(Box<Expression>, Comparison, Box<Expression>),
    /// `IN`; `NIN` is its `Not`.
    In(Box<Expression>, Vec<Json>),
    /// From left to right, of operators that bind alike.
    Arithmetic(Box<Expression>, Vec<(Operator, Expression)>),
    Negative(Box<Expression>),
    Call(Function, Vec<Expression>),
    Path(Path),
    Literal(Json),
    Undefined,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// `tags.list[0].['a key'].[[another key]]`, without the name of the collection in front.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    pub at: usize,
    /// One at least.
    pub segments: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    Name(String),
    /// `[n]`: an element of an array.
    Index(usize),
}

impl Path {
    /// The name that the path begins with; empty when it begins with an index.
    #[must_use]
    pub fn root(&self) -> &str {
        self.name(0).unwrap_or_default()
    }

    /// The name at a place, when there is a name.
    #[must_use]
    pub fn name(&self, place: usize) -> Option<&str> {
        match self.segments.get(place)? {
            Segment::Name(name) => Some(name),
            Segment::Index(_) => None,
        }
    }

    /// The value at the path inside of a document.
    #[must_use]
    pub fn find<'a>(segments: &[Segment], document: &'a Json) -> Option<&'a Json> {
        segments
            .iter()
            .try_fold(document, |value, segment| match segment {
                Segment::Name(name) => value.as_object()?.get(name),
                Segment::Index(index) => value.as_array()?.get(*index),
            })
    }
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (place, segment) in self.segments.iter().enumerate() {
            let dot = if place > 0 { "." } else { "" };
            match segment {
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Name(name) if name.chars().all(super::lexer::is_name_char) => {
                    write!(f, "{dot}{name}")?;
                }
                Segment::Name(name) => write!(f, "{dot}[[{name}]]")?,
            }
        }
        Ok(())
    }
}

impl Expression {
    /// Every path of the expression.
    pub fn for_each_path<'a>(&'a self, see: &mut impl FnMut(&'a Path)) {
        match &self.node {
            Node::Path(path) => see(path),
            Node::Or(parts) | Node::And(parts) | Node::Call(_, parts) => {
                parts.iter().for_each(|part| part.for_each_path(see));
            }
            Node::Not(inner) | Node::Negative(inner) | Node::In(inner, _) => {
                inner.for_each_path(see);
            }
            Node::Compare(left, _, right) => {
                left.for_each_path(see);
                right.for_each_path(see);
            }
            Node::Arithmetic(first, rest) => {
                first.for_each_path(see);
                rest.iter().for_each(|(_, part)| part.for_each_path(see));
            }
            Node::Literal(_) | Node::Undefined => {}
        }
    }
}
