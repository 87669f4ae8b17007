//! Target conditions of configurations: `tags.site = 'Seoul' AND NOT deviceId IN ['a', 'b']`, of
//! module configurations `FROM devices.modules WHERE …`.
//!
//! They are conditions of the [query language](crate::query) that look at `deviceId`, `tags.…` and
//! `properties.reported.…` only (of modules at `moduleId`, too), with strings in single quotes. `*`
//! selects all, an empty condition none.

use serde_json::{Map, Value as Json};

use crate::query::parse_condition_within;
use crate::query::{Collection, Expression, Limits, ParseError, Path, Query, Quotes, Scope, Value};

/// Longest condition, in characters. System metrics repeat it inside of queries.
const MAX_TEXT: usize = 16 * 1024;

/// A condition that has been read.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition(Targets);

#[derive(Debug, Clone, PartialEq)]
enum Targets {
    All,
    None,
    Matching(Expression),
}

/// What conditions look at.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    pub device_id: &'a str,
    /// The module, when its twin is asked for.
    pub module_id: Option<&'a str>,
    pub tags: &'a Map<String, Json>,
    pub reported: &'a Map<String, Json>,
}

impl Condition {
    /// Parses the condition of a configuration of devices, such as `tags.site = 'north'`.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Self::of_devices(text, Limits::Usual)
    }

    /// Parses the condition of a configuration of modules: `FROM devices.modules WHERE …`.
    pub fn parse_of_modules(text: &str) -> Result<Self, ParseError> {
        Self::of_modules(text, Limits::Usual)
    }

    pub(crate) fn of_devices(text: &str, limits: Limits) -> Result<Self, ParseError> {
        Self::read(text, Collection::Devices, |text| {
            parse_condition_within(text, Quotes::Single, limits).map(Some)
        })
    }

    pub(crate) fn of_modules(text: &str, limits: Limits) -> Result<Self, ParseError> {
        Self::read(text, Collection::Modules, |text| {
            let query = Query::parse_from(text, Quotes::Single, limits)?;
            match query.from {
                Collection::Modules => Ok(query.condition),
                _ => Err(ParseError::new(
                    0,
                    "the condition of a module configuration begins with FROM devices.modules",
                )),
            }
        })
    }

    fn read(
        text: &str,
        from: Collection,
        parse: impl FnOnce(&str) -> Result<Option<Expression>, ParseError>,
    ) -> Result<Self, ParseError> {
        match text.trim() {
            "" => return Ok(Self(Targets::None)),
            "*" => return Ok(Self(Targets::All)),
            _ if text.chars().count() > MAX_TEXT => {
                let problem = format!("a condition has {MAX_TEXT} characters at most");
                return Err(ParseError::new(MAX_TEXT, problem));
            }
            _ => {}
        }
        let Some(expression) = parse(text)? else {
            return Ok(Self(Targets::All));
        };
        match first_unknown(&expression, from) {
            Some(path) => Err(unknown(path, from)),
            None => Ok(Self(Targets::Matching(expression))),
        }
    }

    /// The condition that nothing meets.
    #[must_use]
    pub fn none() -> Self {
        Self(Targets::None)
    }

    /// Whether a device or module matches.
    #[must_use]
    pub fn matches(&self, facts: Facts<'_>) -> bool {
        match &self.0 {
            Targets::All => true,
            Targets::None => false,
            Targets::Matching(expression) => expression.holds(&facts),
        }
    }

    /// Whether reported properties matter.
    #[must_use]
    pub fn reads_reported(&self) -> bool {
        let mut reads = false;
        if let Targets::Matching(expression) = &self.0 {
            expression.for_each_path(&mut |path| reads |= path.root() == "properties");
        }
        reads
    }
}

impl Scope for Facts<'_> {
    fn resolve<'a>(&'a self, path: &Path) -> Value<'a> {
        let (document, rest) = match path.root() {
            "deviceId" if path.segments.len() == 1 => return self.device_id.into(),
            "moduleId" if path.segments.len() == 1 => {
                return self.module_id.map_or(Value::Undefined, Value::from);
            }
            "tags" => (self.tags, 1),
            "properties" => (self.reported, 2),
            _ => return Value::Undefined,
        };
        let value = path.name(rest).and_then(|name| document.get(name));
        value
            .and_then(|value| Path::find(&path.segments[rest + 1..], value))
            .into()
    }
}

fn first_unknown(expression: &Expression, from: Collection) -> Option<&Path> {
    let mut unknown = None;
    expression.for_each_path(&mut |path| {
        let known = match (path.root(), path.segments.len()) {
            ("deviceId", 1) => true,
            ("moduleId", 1) => from == Collection::Modules,
            ("tags", 2..) => path.name(1).is_some(),
            ("properties", 3..) => path.name(1) == Some("reported") && path.name(2).is_some(),
            _ => false,
        };
        if !known && unknown.is_none() {
            unknown = Some(path);
        }
    });
    unknown
}

fn unknown(path: &Path, from: Collection) -> ParseError {
    let module = match from {
        Collection::Modules => "moduleId, ",
        _ => "",
    };
    let problem = format!(
        "deviceId, {module}tags.… or properties.reported.… was expected: \
         target conditions do not look at '{path}'"
    );
    ParseError::new(path.at, problem)
}

#[cfg(test)]
mod tests;
