use serde::{Deserialize, Serialize};

use crate::{IdError, parse_chars};

pub(crate) const ENROLLMENT_CHARS: &str = "ASCII letters and digits and - . _ :";

pub(crate) fn parse_registration_like(what: &'static str, text: &str) -> Result<(), IdError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
    parse_chars(what, text, 128, allowed, ENROLLMENT_CHARS)?;
    match text.chars().last() {
        Some(last) if last.is_ascii_alphanumeric() || last == '-' => Ok(()),
        _ => Err(IdError::new(
            what,
            text,
            "must end with a letter, a digit or -",
        )),
    }
}

/// The name under which a device registers with a provisioning service.
///
/// 1 to 128 characters, ASCII letters and digits and `- . _ :`, the last one a
/// letter, a digit or `-`. Case-insensitive: equality, order and hash look at
/// [`folded`](Self::folded), while [`as_str`](Self::as_str) keeps the
/// spelling. Rule: `concepts-service.md`, `concepts-x509-attestation.md`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RegistrationId {
    spelled: String,
    folded: String,
}

impl RegistrationId {
    /// Parses a registration id and keeps its spelling.
    ///
    /// # Errors
    /// When the text breaks the rule above; the error names the first fault.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        parse_registration_like("registration id", text)?;
        Ok(Self {
            spelled: text.to_owned(),
            folded: text.to_ascii_lowercase(),
        })
    }

    /// The id as it was spelled.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.spelled
    }

    /// The id in lower case: what identity is decided by.
    #[must_use]
    pub fn folded(&self) -> &str {
        &self.folded
    }
}

impl PartialEq for RegistrationId {
    fn eq(&self, other: &Self) -> bool {
        self.folded == other.folded
    }
}

impl Eq for RegistrationId {}

impl std::hash::Hash for RegistrationId {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.folded.hash(state);
    }
}

impl PartialOrd for RegistrationId {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for RegistrationId {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.folded.cmp(&other.folded)
    }
}

impl std::fmt::Display for RegistrationId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.spelled)
    }
}

impl std::str::FromStr for RegistrationId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for RegistrationId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        Self::parse(&text)
    }
}

impl From<RegistrationId> for String {
    fn from(id: RegistrationId) -> String {
        id.spelled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling_is_kept_and_case_is_folded() {
        let id = RegistrationId::parse("Edge-001.A_b:c").unwrap();
        assert_eq!(id.as_str(), "Edge-001.A_b:c");
        assert_eq!(id, RegistrationId::parse("edge-001.a_B:C").unwrap());
    }

    #[test]
    fn bad_ids_say_what_is_wrong() {
        let long = "a".repeat(129);
        for (text, wanted) in [
            ("", "is empty"),
            ("a b", "contains ' '"),
            ("dev@1", "contains '@'"),
            ("edge.", "must end with"),
            (long.as_str(), "129 characters"),
        ] {
            let error = RegistrationId::parse(text).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
