//! The subjects of certificates that are issued here, and of requests that are made here.

use ids::RegistrationId;
use rcgen::{DistinguishedName, DnType, DnValue};

use crate::IssueError;

/// The longest common name, in characters: ub-common-name of X.520.
pub(crate) const MAX_COMMON_NAME: usize = 64;

/// A certificate's subject: one common name of 1 to 64 characters, and what stands around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    common_name: String,
    /// In the order of [`NameAttribute`].
    others: Vec<(NameAttribute, String)>,
}

/// An attribute of a subject besides its common name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NameAttribute {
    /// `C`: two letters.
    Country,
    /// `ST`.
    State,
    /// `L`.
    Locality,
    /// `O`.
    Organization,
    /// `OU`.
    OrganizationalUnit,
    /// `serialNumber`: of the device, not of the certificate.
    SerialNumber,
    /// `DC`: one label of a domain.
    DomainComponent,
}

impl NameAttribute {
    /// All attributes, in the order in which a subject has them.
    pub const ALL: [Self; 7] = [
        Self::Country,
        Self::State,
        Self::Locality,
        Self::Organization,
        Self::OrganizationalUnit,
        Self::SerialNumber,
        Self::DomainComponent,
    ];

    /// The short name of RFC 4514, such as `OU`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Country => "C",
            Self::State => "ST",
            Self::Locality => "L",
            Self::Organization => "O",
            Self::OrganizationalUnit => "OU",
            Self::SerialNumber => "serialNumber",
            Self::DomainComponent => "DC",
        }
    }

    /// The name that OpenSSL knows it by, too.
    fn long_name(self) -> &'static str {
        match self {
            Self::Country => "countryName",
            Self::State => "stateOrProvinceName",
            Self::Locality => "localityName",
            Self::Organization => "organizationName",
            Self::OrganizationalUnit => "organizationalUnitName",
            Self::SerialNumber => "serialNumber",
            Self::DomainComponent => "domainComponent",
        }
    }

    /// Reads a name, short or long, in any letter case.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let is_name = |one: &Self| {
            name.eq_ignore_ascii_case(one.name()) || name.eq_ignore_ascii_case(one.long_name())
        };
        Self::ALL.into_iter().find(is_name)
    }

    /// The least and the most characters (upper bounds of X.520).
    fn lengths(self) -> (usize, usize) {
        match self {
            Self::Country => (2, 2),
            Self::State | Self::Locality => (1, 128),
            Self::Organization | Self::OrganizationalUnit | Self::SerialNumber => (1, 64),
            Self::DomainComponent => (1, 63),
        }
    }

    fn dn_type(self) -> DnType {
        match self {
            Self::Country => DnType::CountryName,
            Self::State => DnType::StateOrProvinceName,
            Self::Locality => DnType::LocalityName,
            Self::Organization => DnType::OrganizationName,
            Self::OrganizationalUnit => DnType::OrganizationalUnitName,
            Self::SerialNumber => DnType::CustomDnType(vec![2, 5, 4, 5]),
            Self::DomainComponent => DnType::CustomDnType(vec![0, 9, 2342, 19_200_300, 100, 1, 25]),
        }
    }

    /// Two of them are PrintableString in X.520, and one is IA5String (RFC 4519).
    fn value(self, text: &str) -> Option<DnValue> {
        match self {
            Self::Country | Self::SerialNumber => {
                text.try_into().ok().map(DnValue::PrintableString)
            }
            Self::DomainComponent => text.try_into().ok().map(DnValue::Ia5String),
            _ => Some(DnValue::Utf8String(text.to_owned())),
        }
    }
}

impl Subject {
    /// A subject with this common name.
    ///
    /// # Errors
    /// When it is empty, longer than 64 characters or has control characters.
    pub fn common_name(text: &str) -> Result<Self, IssueError> {
        let length = text.chars().count();
        if length == 0 || length > MAX_COMMON_NAME || text.chars().any(char::is_control) {
            return Err(IssueError::CommonName {
                name: text.chars().take(160).collect(),
                length,
            });
        }
        Ok(Self {
            common_name: text.to_owned(),
            others: Vec::new(),
        })
    }

    /// The same with another attribute, in place of one of its kind.
    ///
    /// # Errors
    /// When the value has a length that X.520 does not allow, or characters that the attribute
    /// cannot have.
    pub fn with(mut self, attribute: NameAttribute, value: &str) -> Result<Self, IssueError> {
        let (least, most) = attribute.lengths();
        let fits = (least..=most).contains(&value.chars().count());
        let plain = !value.chars().any(char::is_control) && attribute.value(value).is_some();
        if !fits || !plain {
            return Err(IssueError::NameAttribute {
                attribute: attribute.name(),
                value: value.chars().take(160).collect(),
                least,
                most,
            });
        }
        self.others.retain(|(other, _)| *other != attribute);
        self.others.push((attribute, value.to_owned()));
        self.others.sort_by_key(|(attribute, _)| *attribute);
        Ok(self)
    }

    /// The common name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.common_name
    }

    /// The common name of a device's identity: its registration id as spelled.
    ///
    /// # Errors
    /// When the id is longer than the 64 characters that a common name may have.
    pub fn registration(id: &RegistrationId) -> Result<Self, IssueError> {
        Self::common_name(id.as_str())
    }

    /// As rcgen writes it: the common name last, as OpenSSL's tools have it.
    pub(crate) fn distinguished_name(&self) -> Result<DistinguishedName, IssueError> {
        let mut name = DistinguishedName::new();
        for (attribute, text) in &self.others {
            let value = attribute.value(text);
            let value = value.ok_or_else(|| IssueError::Encoding(attribute.name().to_owned()))?;
            name.push(attribute.dn_type(), value);
        }
        name.push(DnType::CommonName, self.common_name.as_str());
        Ok(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_have_the_lengths_of_x_520_and_stand_in_one_order() {
        let subject = Subject::common_name("press-7").unwrap();
        let subject = subject
            .with(NameAttribute::Organization, "Penguin & Co")
            .unwrap();
        let subject = subject.with(NameAttribute::Country, "AQ").unwrap();
        let names: Vec<&str> = subject.others.iter().map(|(one, _)| one.name()).collect();
        assert_eq!(names, ["C", "O"]);
        for (attribute, value) in [
            (NameAttribute::Country, "AQX"),
            (NameAttribute::Country, "é1"),
            (NameAttribute::Locality, ""),
            (NameAttribute::Organization, &"x".repeat(65)),
            (NameAttribute::State, "a\u{7}"),
        ] {
            let error = subject.clone().with(attribute, value).unwrap_err();
            assert!(error.to_string().contains(attribute.name()), "{error}");
        }
    }

    #[test]
    fn attributes_are_read_by_their_short_and_long_names() {
        for (name, found) in [
            ("ou", Some(NameAttribute::OrganizationalUnit)),
            ("organizationName", Some(NameAttribute::Organization)),
            ("SERIALNUMBER", Some(NameAttribute::SerialNumber)),
            ("CN", None),
            ("X", None),
        ] {
            assert_eq!(NameAttribute::parse(name), found, "{name}");
        }
    }
}
