use serde::{Deserialize, Serialize};

use crate::{IdError, parse_chars, text_id};

/// The name of a provisioning service inside Muster: what `--dps-name` takes. Letters, digits and
/// `-`, at most 64 characters, compared without case.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServiceName(String);

impl ServiceName {
    /// Parses a service name.
    ///
    /// # Errors
    /// When it is empty, longer than 64 characters or not ASCII letters, digits and `-`.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let what = "provisioning service name";
        parse_chars(what, text, 64, allowed, "ASCII letters, digits and -")?;
        Ok(Self(text.to_owned()))
    }

    /// The name of the service that an empty data directory gets: `dps`.
    #[must_use]
    pub fn first() -> Self {
        Self("dps".to_owned())
    }
}
text_id!(ServiceName);

impl PartialEq for ServiceName {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for ServiceName {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_without_case() {
        let name = ServiceName::parse("Factory-1").unwrap();
        assert_eq!(name, ServiceName::parse("factory-1").unwrap());
        assert!(ServiceName::parse("a.b").is_err() && ServiceName::parse("").is_err());
        assert!(ServiceName::parse(&"a".repeat(65)).is_err());
    }
}
