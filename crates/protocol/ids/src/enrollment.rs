use serde::{Deserialize, Serialize};

use crate::registration::parse_registration_like;
use crate::{IdError, parse_chars, text_id};

/// The name of an enrollment group: same characters as a registration id, compared without case.
/// The spelling is kept.
#[derive(Debug, Clone, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EnrollmentId(String);

impl EnrollmentId {
    /// Parses a group name.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        parse_registration_like("enrollment group id", text)?;
        Ok(Self(text.to_owned()))
    }

    /// The name in lower case: what identity is decided by.
    #[must_use]
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}
text_id!(EnrollmentId);

impl PartialEq for EnrollmentId {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl std::hash::Hash for EnrollmentId {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.folded().hash(state);
    }
}

/// The name of a CA certificate that was uploaded to a provisioning service. Compared without case,
/// as resource names are.
#[derive(Debug, Clone, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CertificateName(String);

impl CertificateName {
    /// Parses a name and checks its form.
    ///
    /// # Errors
    /// When it is empty, longer than 64 characters, or has others than ASCII
    /// letters, digits and `-._`.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        let words = "ASCII letters, digits and -._";
        parse_chars("certificate name", text, 64, allowed, words)?;
        Ok(Self(text.to_owned()))
    }

    /// The name in lower case: what identity is decided by.
    #[must_use]
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}
text_id!(CertificateName);

impl PartialEq for CertificateName {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

/// The name of what issues certificates to devices that register. Compared without case.
#[derive(Debug, Clone, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IssuerName(String);

impl IssuerName {
    /// Parses a name and checks its form.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        parse_registration_like("device issuer name", text)?;
        Ok(Self(text.to_owned()))
    }

    /// The name in lower case: what identity is decided by.
    #[must_use]
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}
text_id!(IssuerName);

impl PartialEq for IssuerName {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

/// `namespaceName`: the device registry namespace of an enrollment's issuer. Azure's resource name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NamespaceName(String);

impl NamespaceName {
    /// Parses a name of the same form as a registration id.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        parse_registration_like("namespace name", text)?;
        Ok(Self(text.to_owned()))
    }
}
text_id!(NamespaceName);

/// `certificatePolicyName`: the policy of an issuer that an enrollment names. Azure's resource name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CertificatePolicyName(String);

impl CertificatePolicyName {
    /// Parses a name of the same form as a registration id.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        parse_registration_like("certificate policy name", text)?;
        Ok(Self(text.to_owned()))
    }
}
text_id!(CertificatePolicyName);

/// The user name of an issuer's user: what a production line says to EST beside its password.
/// Compared without case.
#[derive(Debug, Clone, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IssuerUserName(String);

impl IssuerUserName {
    /// Parses a user name.
    ///
    /// # Errors
    /// When it is empty, longer than 64 characters, or has others than ASCII
    /// letters, digits and `-._@`: a colon would end it in HTTP Basic.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-._@".contains(c);
        let words = "ASCII letters, digits and -._@";
        parse_chars("username", text, 64, allowed, words)?;
        Ok(Self(text.to_owned()))
    }

    /// The name in lower case: what identity is decided by.
    #[must_use]
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}
text_id!(IssuerUserName);

impl PartialEq for IssuerUserName {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

/// The name of a collection of CA certificates that devices are told to
/// trust. Compared without case.
#[derive(Debug, Clone, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TrustBundleId(String);

impl TrustBundleId {
    /// Parses a name and checks its form.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        parse_registration_like("trust bundle id", text)?;
        Ok(Self(text.to_owned()))
    }

    /// The name in lower case: what identity is decided by.
    #[must_use]
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}
text_id!(TrustBundleId);

impl PartialEq for TrustBundleId {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

/// Names one provisioning service to its devices; generated, immutable, such as `0ne000A1B2C`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IdScope(String);

impl IdScope {
    /// Parses an ID scope.
    ///
    /// # Errors
    /// When it is empty, longer than 32 characters or not ASCII letters and digits.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let allowed = |c: char| c.is_ascii_alphanumeric();
        parse_chars("ID scope", text, 32, allowed, "ASCII letters and digits")?;
        Ok(Self(text.to_owned()))
    }

    /// The ID scope that random bytes give.
    #[must_use]
    pub fn from_random(bytes: [u8; 4]) -> Self {
        Self(format!("0ne{:08X}", u32::from_be_bytes(bytes)))
    }

    /// Whether two scopes are the same; device daemons lower-case theirs in tokens.
    #[must_use]
    pub fn matches(&self, other: &str) -> bool {
        self.0.eq_ignore_ascii_case(other)
    }
}
text_id!(IdScope);

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn group_names_are_compared_without_case() {
        let name = |text: &str| EnrollmentId::parse(text).unwrap();
        assert_eq!(name("Factory-1"), name("factory-1"));
        assert_ne!(name("factory-1"), name("factory-2"));
        let names = HashSet::from([name("Factory-1"), name("factory-1")]);
        assert_eq!(names.len(), 1);
    }
}
