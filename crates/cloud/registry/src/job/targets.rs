use crate::query::{Collection, Expression, ParseError, Query, Quotes, Scope, parse_condition};

/// Longest condition, in characters.
const MAX_TEXT: usize = 16 * 1024;

/// The devices or modules of a job: `*`, a condition of devices, or
/// `FROM devices.modules WHERE …`.
#[derive(Debug, Clone, PartialEq)]
pub struct JobTargets {
    modules: bool,
    condition: Option<Expression>,
}

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
            return Ok(Self {
                modules: false,
                condition: None,
            });
        }
        let first = text.split_whitespace().next().unwrap_or_default();
        if !first.eq_ignore_ascii_case("from") {
            let condition = Some(parse_condition(text, Quotes::Any)?);
            return Ok(Self {
                modules: false,
                condition,
            });
        }
        let query = Query::parse_from(text, Quotes::Any)?;
        let modules = match query.from {
            Collection::Devices => false,
            Collection::Modules => true,
            Collection::Jobs => return Err(TargetsError::OfJobs),
        };
        Ok(Self {
            modules,
            condition: query.condition,
        })
    }

    /// Whether they are modules.
    #[must_use]
    pub fn are_modules(&self) -> bool {
        self.modules
    }

    /// Whether all are, so that no twin has to be read.
    #[must_use]
    pub fn are_all(&self) -> bool {
        self.condition.is_none()
    }

    /// Whether the twin of one of them matches.
    #[must_use]
    pub fn matches(&self, twin: &impl Scope) -> bool {
        match &self.condition {
            Some(condition) => condition.holds(twin),
            None => true,
        }
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
            let found = (targets.are_modules(), targets.are_all());
            assert_eq!(found, (modules, all), "{text}");
        }
        assert_eq!(JobTargets::parse(" "), Err(TargetsError::Empty));
        let jobs = JobTargets::parse("FROM devices.jobs");
        assert_eq!(jobs, Err(TargetsError::OfJobs));
        assert!(JobTargets::parse("tags.a =").is_err());
        let long = format!("tags.a = '{}'", "x".repeat(MAX_TEXT));
        assert_eq!(JobTargets::parse(&long), Err(TargetsError::TooLong));
    }
}
