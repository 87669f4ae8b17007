use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use x509_parser::extensions::{GeneralName, GeneralSubtree, NameConstraints as Parsed};

use crate::cert::name_text;

/// A name of a certificate, or what a constraint says about names of its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AltName {
    Dns(String),
    Mail(String),
    Uri(String),
    /// A distinguished name, DER.
    Directory(Box<[u8]>),
    /// An address, in a constraint followed by its mask.
    Ip(Box<[u8]>),
    /// Of a kind that nobody here evaluates: the number of the kind in RFC 5280.
    Other(u32),
}

impl AltName {
    pub(super) fn of(name: &GeneralName<'_>) -> Self {
        match name {
            GeneralName::OtherName(..) => Self::Other(0),
            GeneralName::RFC822Name(mail) => Self::Mail((*mail).to_owned()),
            GeneralName::DNSName(dns) => Self::Dns((*dns).to_owned()),
            GeneralName::X400Address(_) => Self::Other(3),
            GeneralName::DirectoryName(name) => Self::Directory(name.as_raw().into()),
            GeneralName::EDIPartyName(_) => Self::Other(5),
            GeneralName::URI(uri) => Self::Uri((*uri).to_owned()),
            GeneralName::IPAddress(bytes) => Self::Ip((*bytes).into()),
            GeneralName::RegisteredID(_) => Self::Other(8),
            GeneralName::Invalid(tag, _) => Self::Other(tag.0),
        }
    }

    /// The number of its kind in RFC 5280.
    pub(crate) fn kind(&self) -> u32 {
        match self {
            Self::Mail(_) => 1,
            Self::Dns(_) => 2,
            Self::Directory(_) => 4,
            Self::Uri(_) => 6,
            Self::Ip(_) => 7,
            Self::Other(kind) => *kind,
        }
    }
}

impl fmt::Display for AltName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => write!(f, "DNS:{name}"),
            Self::Mail(mail) => write!(f, "email:{mail}"),
            Self::Uri(uri) => write!(f, "URI:{uri}"),
            Self::Directory(name) => f.write_str(&name_text(name)),
            Self::Ip(bytes) => {
                if let Ok(v4) = <[u8; 4]>::try_from(&**bytes) {
                    write!(f, "IP:{}", Ipv4Addr::from(v4))
                } else if let Ok(v6) = <[u8; 16]>::try_from(&**bytes) {
                    write!(f, "IP:{}", Ipv6Addr::from(v6))
                } else {
                    write!(f, "an IP address of {} bytes", bytes.len())
                }
            }
            Self::Other(0) => f.write_str("otherName"),
            Self::Other(8) => f.write_str("registeredID"),
            Self::Other(kind) => write!(f, "a name of kind {kind}"),
        }
    }
}

/// What an issuer lets the names below it be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NameConstraints {
    pub(crate) permitted: Vec<AltName>,
    pub(crate) excluded: Vec<AltName>,
}

impl NameConstraints {
    pub(super) fn of(parsed: &Parsed<'_>) -> Self {
        let all = |subtrees: &Option<Vec<GeneralSubtree<'_>>>| {
            let subtrees = subtrees.iter().flatten();
            subtrees.map(|subtree| AltName::of(&subtree.base)).collect()
        };
        Self {
            permitted: all(&parsed.permitted_subtrees),
            excluded: all(&parsed.excluded_subtrees),
        }
    }
}
