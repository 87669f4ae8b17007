use serde::{Deserialize, Serialize};

use crate::{IdError, parse_chars, text_id};

/// Letters, digits, `-`, `.` and `_`: what Azure admits in names of routes and endpoints.
fn parse_name(what: &'static str, text: &str, max: usize) -> Result<String, IdError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    parse_chars(
        what,
        text,
        max,
        allowed,
        "ASCII letters, digits, -, . and _",
    )?;
    Ok(text.to_owned())
}

/// The name of an endpoint that messages are routed to, at most 64 characters. `events` is the
/// built-in one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EndpointName(String);

impl EndpointName {
    /// The built-in endpoint, which every hub has.
    pub const BUILT_IN: &str = "events";

    /// Parses the name of an endpoint.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        Ok(Self(parse_name("endpoint name", text, 64)?))
    }

    /// The name of the built-in endpoint.
    #[must_use]
    pub fn built_in() -> Self {
        Self(Self::BUILT_IN.to_owned())
    }

    /// Whether it is the built-in endpoint.
    #[must_use]
    pub fn is_built_in(&self) -> bool {
        self.0.eq_ignore_ascii_case(Self::BUILT_IN)
    }
}
text_id!(EndpointName);

/// The name of a route, at most 64 characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RouteName(String);

impl RouteName {
    /// Parses the name of a route.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        Ok(Self(parse_name("route name", text, 64)?))
    }
}
text_id!(RouteName);

/// A group of readers of the built-in endpoint, at most 50 characters. Every hub has `$Default`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ConsumerGroup(String);

impl ConsumerGroup {
    /// The group that every hub has.
    pub const DEFAULT: &str = "$Default";

    /// Parses the name of a consumer group. `$default` is read in any letter case.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        if text.eq_ignore_ascii_case(Self::DEFAULT) {
            return Ok(Self(Self::DEFAULT.to_owned()));
        }
        Ok(Self(parse_name("consumer group", text, 50)?))
    }

    /// The name of the group that every hub has.
    #[must_use]
    pub fn built_in() -> Self {
        Self(Self::DEFAULT.to_owned())
    }

    /// Whether it is the group that every hub has.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.0 == Self::DEFAULT
    }
}
text_id!(ConsumerGroup);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_characters_that_azure_admits() {
        assert!(EndpointName::parse("hook-1.a_b").is_ok());
        assert!(EndpointName::parse("Events").unwrap().is_built_in());
        for text in ["", "a b", "a/b", "$x", &"a".repeat(65)] {
            assert!(EndpointName::parse(text).is_err(), "{text}");
            assert!(RouteName::parse(text).is_err(), "{text}");
        }
        assert!(ConsumerGroup::parse("$default").unwrap().is_default());
        assert!(ConsumerGroup::parse("$other").is_err());
        assert!(ConsumerGroup::parse(&"a".repeat(51)).is_err());
    }
}
