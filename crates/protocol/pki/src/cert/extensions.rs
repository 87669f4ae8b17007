//! The extensions that decide whether a certificate may do something.

use std::net::IpAddr;

use x509_parser::extensions::{
    GeneralName, ParsedExtension, SubjectAlternativeName, X509Extension,
};
use x509_parser::prelude::X509Certificate;

use super::CertificateError;
use crate::ServerName;

mod alt_name;
mod critical;
mod policies;

pub(crate) use alt_name::{AltName, NameConstraints};
pub(crate) use policies::{ANY_POLICY, Oid, Policies};

use critical::Understood;

/// What the extensions say; `None` where an extension is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Extensions {
    pub(crate) is_ca: bool,
    pub(crate) basic_constraints_critical: Option<bool>,
    pub(crate) path_length: Option<u32>,
    pub(crate) key_usage: Option<KeyUsage>,
    pub(crate) purposes: Option<Purposes>,
    pub(crate) subject_key_id: Option<Box<[u8]>>,
    pub(crate) authority_key_id: Option<Box<[u8]>>,
    pub(crate) name_constraints: Option<NameConstraints>,
    pub(crate) policies: Policies,
    /// A critical Netscape certificate type.
    pub(crate) netscape_type: Option<NetscapeType>,
    pub(crate) server_names: Vec<ServerName>,
    /// Every name of the subjectAltName.
    pub(crate) alt_names: Vec<AltName>,
    /// Critical extensions that nobody here understands, dotted.
    pub(crate) not_understood: Vec<String>,
    /// Whether one is critical that webpki refuses and we understand.
    pub(crate) beyond_webpki: bool,
}

/// What a certificate is for, in the words of the nineties.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NetscapeType {
    pub(crate) ssl_client: bool,
    pub(crate) ssl_server: bool,
    pub(crate) ssl_ca: bool,
}

/// keyUsage, as far as we ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyUsage {
    pub(crate) critical: bool,
    pub(crate) digital_signature: bool,
    pub(crate) key_cert_sign: bool,
    pub(crate) crl_sign: bool,
}

/// extendedKeyUsage, as far as we ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Purposes {
    pub(crate) client_auth: bool,
    pub(crate) server_auth: bool,
    pub(crate) any: bool,
}

impl Extensions {
    pub(super) fn read(x509: &X509Certificate<'_>) -> Result<Self, CertificateError> {
        let mut found = Self::default();
        let mut seen = Vec::new();
        for extension in x509.extensions() {
            if seen.contains(&&extension.oid) {
                return Err(CertificateError::BadExtension {
                    name: known_name(extension).unwrap_or("that appears twice"),
                });
            }
            seen.push(&extension.oid);
            if extension.critical {
                match critical::understood(extension) {
                    Understood::ByWebpki => {}
                    Understood::ByUs => found.beyond_webpki = true,
                    Understood::No => found.not_understood.push(critical::name(&extension.oid)),
                }
            }
            found.take(extension)?;
        }
        Ok(found)
    }

    fn take(&mut self, extension: &X509Extension<'_>) -> Result<(), CertificateError> {
        match extension.parsed_extension() {
            ParsedExtension::BasicConstraints(basic) => {
                self.is_ca = basic.ca;
                self.path_length = basic.path_len_constraint;
                self.basic_constraints_critical = Some(extension.critical);
            }
            ParsedExtension::KeyUsage(usage) => {
                self.key_usage = Some(KeyUsage {
                    critical: extension.critical,
                    digital_signature: usage.digital_signature(),
                    key_cert_sign: usage.key_cert_sign(),
                    crl_sign: usage.crl_sign(),
                });
            }
            ParsedExtension::ExtendedKeyUsage(usage) => {
                self.purposes = Some(Purposes {
                    client_auth: usage.client_auth,
                    server_auth: usage.server_auth,
                    any: usage.any,
                });
            }
            ParsedExtension::SubjectKeyIdentifier(id) => self.subject_key_id = Some(id.0.into()),
            ParsedExtension::AuthorityKeyIdentifier(id) => {
                self.authority_key_id = id.key_identifier.as_ref().map(|id| id.0.into());
            }
            ParsedExtension::NameConstraints(constraints) => {
                self.name_constraints = Some(NameConstraints::of(constraints));
            }
            ParsedExtension::CertificatePolicies(_)
            | ParsedExtension::PolicyMappings(_)
            | ParsedExtension::PolicyConstraints(_)
            | ParsedExtension::InhibitAnyPolicy(_) => {
                self.policies.take(extension.parsed_extension());
            }
            ParsedExtension::NSCertType(kind) if extension.critical => {
                self.netscape_type = Some(NetscapeType {
                    ssl_client: kind.ssl_client(),
                    ssl_server: kind.ssl_server(),
                    ssl_ca: kind.ssl_ca(),
                });
            }
            ParsedExtension::SubjectAlternativeName(names) => self.take_names(names),
            ParsedExtension::ParseError { .. } => {
                if let Some(name) = known_name(extension) {
                    return Err(CertificateError::BadExtension { name });
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn take_names(&mut self, names: &SubjectAlternativeName<'_>) {
        let known = names.general_names.iter().filter_map(|name| match name {
            GeneralName::DNSName(dns) => Some(ServerName::Dns(dns.to_ascii_lowercase())),
            GeneralName::IPAddress(bytes) => address(bytes).map(ServerName::Ip),
            _ => None,
        });
        self.server_names.extend(known);
        self.alt_names
            .extend(names.general_names.iter().map(AltName::of));
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    let v6 = <[u8; 16]>::try_from(bytes).map(IpAddr::from);
    v4.or(v6).ok()
}

fn known_name(extension: &X509Extension<'_>) -> Option<&'static str> {
    match extension.oid.to_id_string().as_str() {
        "2.5.29.14" => Some("subjectKeyIdentifier"),
        "2.5.29.15" => Some("keyUsage"),
        "2.5.29.17" => Some("subjectAltName"),
        "2.5.29.19" => Some("basicConstraints"),
        "2.5.29.30" => Some("nameConstraints"),
        "2.5.29.35" => Some("authorityKeyIdentifier"),
        "2.5.29.37" => Some("extendedKeyUsage"),
        _ => None,
    }
}
