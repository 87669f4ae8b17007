use std::sync::Arc;

use crate::query::{
    Collection, Expression, Limits, ParseError, Path, Query, Quotes, Segment, SelectItem, Selected,
    Selection,
};

/// Longest condition, in characters.
const MAX_TEXT: usize = 16 * 1024;

/// The devices or modules of a job: `*`, a condition of devices, or
/// `FROM devices.modules WHERE …`.
#[derive(Debug, Clone, PartialEq)]
pub struct JobTargets(Arc<Query>);

/// Why a `queryCondition` cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetsError {
    #[error("a queryCondition is required; * selects every device")]
    Empty,
    #[error("the queryCondition has more than {MAX_TEXT} characters")]
    TooLong,
    #[error("jobs work on devices or devices.modules, not on devices.jobs")]
    OfJobs,
    #[error("queryCondition: {0}")]
    Condition(#[from] ParseError),
}

impl JobTargets {
    pub fn parse(text: &str) -> Result<Self, TargetsError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(TargetsError::Empty);
        }
        if text.chars().count() > MAX_TEXT {
            return Err(TargetsError::TooLong);
        }
        if text == "*" {
            return Ok(Self::select(Collection::Devices, None));
        }
        let first = text.split_whitespace().next().unwrap_or_default();
        let query = match first.eq_ignore_ascii_case("from") {
            true => Query::parse_from(text, Quotes::Any, Limits::Usual)?,
            false => Query::parse_where(Collection::Devices, text, Quotes::Any)?,
        };
        match query.from {
            Collection::Jobs => Err(TargetsError::OfJobs),
            from => Ok(Self::select(from, query.condition)),
        }
    }

    fn select(from: Collection, condition: Option<Expression>) -> Self {
        let item = |name: &str| SelectItem {
            name: name.to_owned(),
            selected: Selected::Path(Path {
                at: 0,
                segments: vec![Segment::Name(name.to_owned())],
            }),
        };
        Self(Arc::new(Query {
            top: None,
            selection: Selection::Items(vec![item("deviceId"), item("moduleId")]),
            from,
            condition,
            group_by: Vec::new(),
            fingerprint: 0,
        }))
    }

    /// The query of their ids: `deviceId`, and `moduleId` of modules.
    #[must_use]
    pub fn query(&self) -> &Arc<Query> {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_of_devices_or_of_modules() {
        for (text, modules, all) in [
            ("*", false, true),
            (" * ", false, true),
            ("deviceId IN ['a', 'b']", false, false),
            ("tags.site = \"a\"", false, false),
            ("FROM devices.modules WHERE moduleId = 'm'", true, false),
            ("from devices.modules", true, true),
            ("FROM devices WHERE tags.a = 1", false, false),
        ] {
            let targets = JobTargets::parse(text).unwrap();
            let query = targets.query();
            let found = (query.from == Collection::Modules, query.condition.is_none());
            assert_eq!(found, (modules, all), "{text}");
        }
        let named = [
            "devices.deviceId = 'a'",
            "FROM devices WHERE DeviceId = 'a'",
        ];
        for text in named {
            let targets = JobTargets::parse(text).unwrap();
            let mut paths = Vec::new();
            let condition = targets.query().condition.as_ref().unwrap();
            condition.for_each_path(&mut |path| paths.push(path.to_string()));
            assert_eq!(paths, ["deviceId"], "{text}");
        }
        assert_eq!(JobTargets::parse(" "), Err(TargetsError::Empty));
        let jobs = JobTargets::parse("FROM devices.jobs");
        assert_eq!(jobs, Err(TargetsError::OfJobs));
        assert!(JobTargets::parse("tags.a =").is_err());
        let long = format!("tags.a = '{}'", "x".repeat(MAX_TEXT));
        assert_eq!(JobTargets::parse(&long), Err(TargetsError::TooLong));
    }
}
