//! The condition of a route, in the query language, and the scope that its paths live in.

use std::cell::OnceCell;

use serde_json::Value as Json;

use crate::event::Event;
use crate::query::{Expression, ParseError, Path, Quotes, Scope, Segment, Value, parse_condition};

/// A condition that was read.
#[derive(Debug, Clone)]
pub struct RouteCondition {
    /// `None`: all events.
    expression: Option<Expression>,
    reads_twin: bool,
}

impl RouteCondition {
    /// Reads a condition; an empty one is `true`.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let text = text.trim();
        if text.is_empty() || text.eq_ignore_ascii_case("true") {
            return Ok(Self {
                expression: None,
                reads_twin: false,
            });
        }
        let expression = parse_condition(text, Quotes::Any)?;
        let mut reads_twin = false;
        expression.for_each_path(&mut |path| {
            reads_twin |= path.root().eq_ignore_ascii_case(TWIN);
        });
        Ok(Self {
            expression: Some(expression),
            reads_twin,
        })
    }

    /// Whether the condition looks at the sender's twin.
    #[must_use]
    pub fn reads_twin(&self) -> bool {
        self.reads_twin
    }

    /// True, false, or `None` for undefined.
    #[must_use]
    pub fn decide(&self, facts: &Facts<'_>) -> Option<bool> {
        match &self.expression {
            None => Some(true),
            Some(expression) => match expression.evaluate(facts) {
                Value::Bool(truth) => Some(truth),
                _ => None,
            },
        }
    }
}

const BODY: &str = "$body";
const TWIN: &str = "$twin";

/// The twin of a sender as routes see it: `{"tags": …, "properties": {"desired", "reported"}}`.
pub type TwinDocument = Json;

/// An event and the twin of its sender, both read when a condition asks for them.
pub struct Facts<'a> {
    event: &'a Event,
    body: OnceCell<Option<Json>>,
    read_twin: &'a dyn Fn() -> Option<TwinDocument>,
    twin: OnceCell<Option<TwinDocument>>,
}

impl<'a> Facts<'a> {
    #[must_use]
    pub fn new(event: &'a Event, read_twin: &'a dyn Fn() -> Option<TwinDocument>) -> Self {
        Self {
            event,
            body: OnceCell::new(),
            read_twin,
            twin: OnceCell::new(),
        }
    }

    pub(super) fn event(&self) -> &Event {
        self.event
    }

    pub(super) fn twin(&self) -> Option<&TwinDocument> {
        self.twin.get_or_init(self.read_twin).as_ref()
    }

    fn body(&self) -> Option<&Json> {
        self.body.get_or_init(|| self.event.json_body()).as_ref()
    }
}

impl Scope for Facts<'_> {
    fn resolve<'a>(&'a self, path: &Path) -> Value<'a> {
        let (root, rest) = (path.root(), path.segments.get(1..).unwrap_or_default());
        if root.eq_ignore_ascii_case(BODY) {
            return find(rest, self.body()).into();
        }
        if root.eq_ignore_ascii_case(TWIN) {
            return find(rest, self.twin()).into();
        }
        let Some(name) = whole_name(path) else {
            return Value::Undefined;
        };
        let system = name.strip_prefix('$');
        if let Some(found) = system.and_then(|name| self.event.system_property(name)) {
            return Value::Text(found);
        }
        self.event
            .application_property(&name)
            .map_or(Value::Undefined, Value::from)
    }
}

/// The name of a property, which may have dots in it.
fn whole_name(path: &Path) -> Option<String> {
    let names = (0..path.segments.len()).map(|place| path.name(place));
    Some(names.collect::<Option<Vec<_>>>()?.join("."))
}

/// What is at a path. A name that is not there is looked for in any letter case.
pub(super) fn find<'a>(path: &[Segment], document: Option<&'a Json>) -> Option<&'a Json> {
    path.iter()
        .try_fold(document?, |value, segment| match segment {
            Segment::Index(index) => value.as_array()?.get(*index),
            Segment::Name(name) => {
                let members = value.as_object()?;
                let in_any_case = || {
                    let mut members = members.iter();
                    let named = members.find(|(member, _)| member.eq_ignore_ascii_case(name));
                    named.map(|(_, value)| value)
                };
                members.get(name).or_else(in_any_case)
            }
        })
}
