//! Which critical extensions are understood, by webpki and by us: everything else must not be
//! ignored (RFC 5280, 4.2).

use x509_parser::der_parser::Oid as DerOid;
use x509_parser::extensions::{ParsedExtension, X509Extension};

/// Whose rules see to an extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Understood {
    /// webpki reads it, and so do we.
    ByWebpki,
    /// webpki refuses a certificate in which it is critical.
    ByUs,
    /// Neither reads it, so a certificate in which it is critical is refused.
    No,
}

pub(super) fn understood(extension: &X509Extension<'_>) -> Understood {
    match extension.parsed_extension() {
        ParsedExtension::BasicConstraints(_)
        | ParsedExtension::KeyUsage(_)
        | ParsedExtension::ExtendedKeyUsage(_)
        | ParsedExtension::NameConstraints(_)
        | ParsedExtension::SubjectAlternativeName(_)
        | ParsedExtension::SubjectKeyIdentifier(_)
        | ParsedExtension::AuthorityKeyIdentifier(_)
        | ParsedExtension::CRLDistributionPoints(_) => Understood::ByWebpki,
        ParsedExtension::CertificatePolicies(_)
        | ParsedExtension::PolicyMappings(_)
        | ParsedExtension::PolicyConstraints(_)
        | ParsedExtension::InhibitAnyPolicy(_)
        | ParsedExtension::NSCertType(_) => Understood::ByUs,
        _ => Understood::No,
    }
}

/// The dotted OID, with a name where people know one.
pub(super) fn name(oid: &DerOid<'_>) -> String {
    let dotted = oid.to_id_string();
    let name = match dotted.as_str() {
        "2.5.29.18" => "issuerAltName",
        "1.3.6.1.5.5.7.1.1" => "authorityInfoAccess",
        "1.3.6.1.5.5.7.1.3" => "qcStatements",
        "1.3.6.1.5.5.7.1.14" => "proxyCertInfo",
        "1.3.6.1.5.5.7.1.24" => "tlsFeature",
        "2.23.133.5.4.1" => "DICE TcbInfo",
        "2.23.133.5.4.5" => "DICE MultiTcbInfo",
        "2.23.133.5.4.4" => "DICE Ueid",
        "2.16.840.1.113730.1.13" => "Netscape comment",
        "1.3.6.1.4.1.11129.2.4.3" => "CT poison",
        _ => return dotted,
    };
    format!("{dotted} ({name})")
}
