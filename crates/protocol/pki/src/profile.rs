//! What kinds of certificate are issued, and what each of them says.

use std::net::IpAddr;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SanType,
};

use crate::IssueError;
use crate::subject::Subject;

/// A kind of certificate. It decides every extension; there is no other way to choose them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Profile {
    /// A self-signed root: CA:TRUE.
    Root {
        /// How many CAs may follow below it.
        path_length: u8,
    },
    /// A CA below another: CA:TRUE with this path length (0: it issues leaves only).
    Intermediate {
        /// How many CAs may follow below it.
        path_length: u8,
    },
    /// The key of a root, certified by another root of the same name: CA:TRUE. As it is self-issued,
    /// no path length counts it (RFC 5280, 6.1.4; RFC 4210, 4.4).
    CrossCertificate {
        /// How many CAs may follow below it.
        path_length: u8,
    },
    /// A device's identity towards DPS and hub: CA:FALSE, digitalSignature, clientAuth. Its CN
    /// is the registration id.
    EdgeIdentity,
    /// The CA that an edge device issues its modules' server certificates with: path length 0.
    EdgeCa,
    /// A device that runs no edge modules. It says the same as an edge device's identity.
    Device,
    /// A TLS server: CA:FALSE, digitalSignature, serverAuth, the names as subjectAltName.
    Server {
        /// The names of the server; at least one.
        names: Vec<ServerName>,
    },
    /// The identity of a module, by the CA of its device: CA:FALSE, digitalSignature, clientAuth.
    Module {
        /// Which module of which device, as URI of the subjectAltName.
        uri: String,
    },
    /// A leaf whose CN is a verification code, which proves that the issuer's key is at hand.
    Verification,
}

impl Profile {
    /// Whether certificates of this kind issue others.
    #[must_use]
    pub fn is_ca(&self) -> bool {
        matches!(
            self,
            Self::Root { .. }
                | Self::Intermediate { .. }
                | Self::CrossCertificate { .. }
                | Self::EdgeCa
        )
    }

    /// Whether the common name is a registration id.
    pub(crate) fn is_identity(&self) -> bool {
        matches!(self, Self::EdgeIdentity | Self::Device)
    }

    /// Whether such a certificate may sign itself: a root, and what a device makes for itself when
    /// it has no CA.
    pub(crate) fn may_sign_itself(&self) -> bool {
        matches!(
            self,
            Self::Root { .. } | Self::EdgeCa | Self::EdgeIdentity | Self::Device
        )
    }

    pub(crate) fn path_length(&self) -> Option<u8> {
        match self {
            Self::Root { path_length }
            | Self::Intermediate { path_length }
            | Self::CrossCertificate { path_length } => Some(*path_length),
            Self::EdgeCa => Some(0),
            _ => None,
        }
    }

    pub(crate) fn params(&self, subject: &Subject) -> Result<CertificateParams, IssueError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = subject.distinguished_name()?;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.is_ca = IsCa::ExplicitNoCa;
        match self {
            Self::Root { .. }
            | Self::Intermediate { .. }
            | Self::CrossCertificate { .. }
            | Self::EdgeCa => {
                params.key_usages.push(KeyUsagePurpose::KeyCertSign);
                params.key_usages.push(KeyUsagePurpose::CrlSign);
                let length = self.path_length().unwrap_or_default();
                params.is_ca = IsCa::Ca(BasicConstraints::Constrained(length));
            }
            Self::EdgeIdentity | Self::Device | Self::Verification => {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            }
            Self::Server { names } => {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
                let names = names.iter().map(ServerName::to_san);
                params.subject_alt_names = names.collect::<Result<_, _>>()?;
            }
            Self::Module { uri } => {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
                let name = uri.as_str().try_into();
                let name = name.map_err(|_| IssueError::ServerName(uri.clone()))?;
                params.subject_alt_names = vec![SanType::URI(name)];
            }
        }
        Ok(params)
    }
}

/// A name that a server certificate is valid for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ServerName {
    /// A DNS name, in lower case.
    Dns(String),
    /// An IP address, as iPAddress in the certificate.
    Ip(IpAddr),
}

impl ServerName {
    /// Parses a host as configurations write it: a DNS name or an IP address, IPv6
    /// with or without brackets.
    pub fn parse(text: &str) -> Result<Self, IssueError> {
        let bare = text
            .strip_prefix('[')
            .and_then(|t| t.strip_suffix(']'))
            .unwrap_or(text);
        if let Ok(ip) = bare.parse() {
            return Ok(Self::Ip(ip));
        }
        let label = |l: &str| {
            (1..=63).contains(&l.len())
                && l.chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        };
        if text.len() <= 253 && text.split('.').all(label) {
            return Ok(Self::Dns(text.to_ascii_lowercase()));
        }
        Err(IssueError::ServerName(text.chars().take(160).collect()))
    }

    fn to_san(&self) -> Result<SanType, IssueError> {
        match self {
            Self::Ip(ip) => Ok(SanType::IpAddress(*ip)),
            Self::Dns(name) => name
                .as_str()
                .try_into()
                .map(SanType::DnsName)
                .map_err(|_| IssueError::ServerName(name.clone())),
        }
    }
}

impl std::fmt::Display for ServerName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name),
            Self::Ip(ip) => ip.fmt(f),
        }
    }
}

/// How long a certificate is wanted to live. It never outlives its issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    /// A default: shortened to the issuer's end where it would pass it.
    UpTo(Duration),
    /// Asked for by a person: an error where it would pass the issuer's end.
    Exactly(Duration),
}
