//! What RFC 5280 wants of those that issue, beyond path validation (its part 6). TLS clients differ
//! in how much of it they check: Python since 3.13 and OpenSSL with `-x509_strict` check most. A
//! server must suit all of them, so its path conforms in full. For devices the hub and DPS are the
//! only verifiers, and `openssl x509 -req` makes certificates without key identifiers.

use std::net::Ipv4Addr;

use x509_parser::extensions::{GeneralName, NameConstraints, ParsedExtension, X509Extension};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::ChainError;
use super::path::Path;
use crate::Certificate;

/// How a certificate differs from what RFC 5280 wants of its issuer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConformityFault {
    /// 4.1.2.1.
    #[error("it is of version {0}, and extensions need version 3")]
    Version(u8),
    /// 4.1.2.2.
    #[error("its serial number is not a positive number of at most 20 bytes")]
    SerialNumber,
    /// 4.1.2.4.
    #[error("its issuer has an empty name")]
    EmptyIssuer,
    /// 4.1.2.6.
    #[error("it is a CA certificate with an empty subject")]
    EmptySubject,
    /// 4.2.1.1.
    #[error("it has no authorityKeyIdentifier with a key identifier")]
    AuthorityKeyIdMissing,
    /// 4.2.1.1 and 4.2.1.2.
    #[error("its {0} is critical, which it must not be")]
    Critical(&'static str),
    /// 4.2.1.2.
    #[error("it is a CA certificate without a subjectKeyIdentifier")]
    SubjectKeyIdMissing,
    /// 4.2.1.1: both are the same value.
    #[error("its authorityKeyIdentifier is not the subjectKeyIdentifier of its issuer")]
    KeyIdMismatch,
    /// 4.2.1.9, 4.2.1.10, 4.2.1.11, 4.2.1.14.
    #[error("its {0} is not critical, which it must be")]
    NotCritical(&'static str),
    /// 4.2.1.10: only a CA certificate constrains names.
    #[error("it is no CA certificate and has nameConstraints")]
    NameConstraintsOfLeaf,
    /// 4.2.1.10.
    #[error("its nameConstraints constrain nothing, or have a name that is malformed")]
    NameConstraintsMalformed,
    /// 4.2.1.6.
    #[error("its subjectAltName has a name that is malformed: {0}")]
    AltNameMalformed(String),
    /// 4.2: an extension that is recognised must be readable.
    #[error("its {0} cannot be read")]
    Unreadable(&'static str),
}

impl ConformityFault {
    /// A stable name for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Version(_) => "version_not_3",
            Self::SerialNumber => "serial_number_invalid",
            Self::EmptyIssuer => "issuer_empty",
            Self::EmptySubject => "subject_empty",
            Self::AuthorityKeyIdMissing => "authority_key_id_missing",
            Self::Critical(_) => "extension_critical",
            Self::SubjectKeyIdMissing => "subject_key_id_missing",
            Self::KeyIdMismatch => "key_id_mismatch",
            Self::NotCritical(_) => "extension_not_critical",
            Self::NameConstraintsOfLeaf => "name_constraints_of_leaf",
            Self::NameConstraintsMalformed => "name_constraints_malformed",
            Self::AltNameMalformed(_) => "alt_name_malformed",
            Self::Unreadable(_) => "extension_unreadable",
        }
    }
}

/// Requires that every certificate of a path conforms. So does the trust anchor, as far as it is
/// not its own issuer who is asked: nothing is looked up by its serial number or above it.
pub(super) fn require_conforming(path: &Path<'_>) -> Result<(), ChainError> {
    let issuers = path.upwards().skip(1).map(Some).chain([None]);
    for (certificate, issuer) in path.upwards().zip(issuers) {
        conforms(certificate, issuer).map_err(|fault| ChainError::NotConforming {
            subject: certificate.subject(),
            fault,
        })?;
    }
    Ok(())
}

fn conforms(
    certificate: &Certificate,
    issuer: Option<&Certificate>,
) -> Result<(), ConformityFault> {
    if certificate.version() != 3 {
        return Err(ConformityFault::Version(certificate.version()));
    }
    let parsed = X509Certificate::from_der(certificate.der());
    let Ok((_, x509)) = parsed else {
        return Err(ConformityFault::Unreadable("encoding"));
    };
    if issuer.is_some() && !is_serial_number(x509.raw_serial()) {
        return Err(ConformityFault::SerialNumber);
    }
    if x509.issuer().iter_rdn().next().is_none() {
        return Err(ConformityFault::EmptyIssuer);
    }
    let subject_is_empty = x509.subject().iter_rdn().next().is_none();
    if subject_is_empty && certificate.is_ca() {
        return Err(ConformityFault::EmptySubject);
    }
    for extension in x509.extensions() {
        extension_conforms(extension, certificate, subject_is_empty)?;
    }
    key_ids_conform(certificate, issuer)
}

/// Key identifiers lead from a certificate to its issuer. One that signed itself may leave out
/// its own.
fn key_ids_conform(
    certificate: &Certificate,
    issuer: Option<&Certificate>,
) -> Result<(), ConformityFault> {
    let own = certificate.extensions();
    if certificate.is_ca() && own.subject_key_id.is_none() {
        return Err(ConformityFault::SubjectKeyIdMissing);
    }
    let is_root = issuer.is_none() && certificate.is_self_issued();
    let issuer = issuer.or(is_root.then_some(certificate));
    match (&own.authority_key_id, issuer) {
        (None, None) => Ok(()),
        (None, Some(_)) if certificate.is_self_issued() => Ok(()),
        (None, Some(_)) => Err(ConformityFault::AuthorityKeyIdMissing),
        (Some(wanted), Some(issuer)) => match &issuer.extensions().subject_key_id {
            Some(found) if found != wanted => Err(ConformityFault::KeyIdMismatch),
            _ => Ok(()),
        },
        (Some(_), None) => Ok(()),
    }
}

fn extension_conforms(
    extension: &X509Extension<'_>,
    certificate: &Certificate,
    subject_is_empty: bool,
) -> Result<(), ConformityFault> {
    let is_critical = extension.critical;
    let must_be_critical = |name| match is_critical {
        true => Ok(()),
        false => Err(ConformityFault::NotCritical(name)),
    };
    match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(_) if is_critical => {
            Err(ConformityFault::Critical("authorityKeyIdentifier"))
        }
        ParsedExtension::SubjectKeyIdentifier(_) if is_critical => {
            Err(ConformityFault::Critical("subjectKeyIdentifier"))
        }
        ParsedExtension::BasicConstraints(basic) if basic.ca => {
            must_be_critical("basicConstraints")
        }
        ParsedExtension::PolicyConstraints(_) => must_be_critical("policyConstraints"),
        ParsedExtension::InhibitAnyPolicy(_) => must_be_critical("inhibitAnyPolicy"),
        ParsedExtension::NameConstraints(_) if !certificate.is_ca() => {
            Err(ConformityFault::NameConstraintsOfLeaf)
        }
        ParsedExtension::NameConstraints(constraints) => {
            must_be_critical("nameConstraints")?;
            name_constraints_conform(constraints)
        }
        ParsedExtension::SubjectAlternativeName(names) => {
            if subject_is_empty {
                must_be_critical("subjectAltName, the only name,")?;
            }
            let malformed = names.general_names.iter().find(|name| !is_name(name));
            match malformed {
                Some(name) => Err(ConformityFault::AltNameMalformed(name.to_string())),
                None => Ok(()),
            }
        }
        ParsedExtension::ParseError { .. } => match extension.oid.to_id_string().as_str() {
            "1.3.6.1.5.5.7.1.1" => Err(ConformityFault::Unreadable("authorityInfoAccess")),
            "2.5.29.31" => Err(ConformityFault::Unreadable("cRLDistributionPoints")),
            "2.5.29.32" => Err(ConformityFault::Unreadable("certificatePolicies")),
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

/// A positive INTEGER of at most 20 bytes, the sign bit among them.
fn is_serial_number(raw: &[u8]) -> bool {
    let is_negative = raw.first().is_none_or(|first| first & 0x80 != 0);
    !is_negative && raw.len() <= 20 && raw.iter().any(|byte| *byte != 0)
}

fn name_constraints_conform(constraints: &NameConstraints<'_>) -> Result<(), ConformityFault> {
    let subtrees = [
        &constraints.permitted_subtrees,
        &constraints.excluded_subtrees,
    ];
    let is_empty = subtrees.iter().all(|one| one.is_none())
        || subtrees
            .iter()
            .any(|one| one.as_ref().is_some_and(Vec::is_empty));
    let mut bases = subtrees.into_iter().flatten().flatten();
    match is_empty || !bases.all(|subtree| is_base(&subtree.base)) {
        true => Err(ConformityFault::NameConstraintsMalformed),
        false => Ok(()),
    }
}

/// Whether a name of a subjectAltName has its form.
fn is_name(name: &GeneralName<'_>) -> bool {
    match name {
        GeneralName::DNSName(name) => is_dns_name(name.strip_prefix("*.").unwrap_or(name)),
        GeneralName::IPAddress(bytes) => matches!(bytes.len(), 4 | 16),
        GeneralName::RFC822Name(mail) => is_mailbox(mail),
        GeneralName::Invalid(..) => false,
        _ => true,
    }
}

/// Whether a base of a nameConstraints has its form. A DNS name has no leading dot here: it stands
/// for the names below it as it is.
fn is_base(name: &GeneralName<'_>) -> bool {
    match name {
        GeneralName::DNSName(name) => name.is_empty() || is_dns_name(name),
        GeneralName::IPAddress(bytes) => is_network(bytes),
        GeneralName::RFC822Name(mail) => is_mailbox(mail) || is_host_or_domain(mail),
        GeneralName::URI(host) => is_host_or_domain(host),
        GeneralName::Invalid(..) => false,
        _ => true,
    }
}

/// RFC 1034's syntax, and underscores: hosts of containers have them, and every TLS client takes
/// them.
fn is_dns_name(name: &str) -> bool {
    let label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (1..=63).contains(&label.len())
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_address = name.parse::<Ipv4Addr>().is_ok();
    name.len() <= 253 && name.split('.').all(label) && !is_address
}

fn is_host_or_domain(text: &str) -> bool {
    text.is_empty() || is_dns_name(text.strip_prefix('.').unwrap_or(text))
}

fn is_mailbox(mail: &str) -> bool {
    mail.rsplit_once('@')
        .is_some_and(|(local, host)| !local.is_empty() && is_dns_name(host))
}

/// An address and a mask of the same length, which is a row of ones and then zeros.
fn is_network(bytes: &[u8]) -> bool {
    if !matches!(bytes.len(), 8 | 32) {
        return false;
    }
    let mask = &bytes[bytes.len() / 2..];
    let bits = mask
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1));
    bits.clone()
        .zip(bits.skip(1))
        .all(|(one, next)| one >= next)
}
