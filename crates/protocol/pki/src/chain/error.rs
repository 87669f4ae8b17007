use ids::{Thumbprint, Timestamp};

use crate::CertificateError;

use super::{ConformityFault, MAX_CHAIN_BYTES, MAX_CHAIN_CERTIFICATES};

/// Why a presented chain proves nothing. For operators and logs; devices are told only that
/// they are not authorized.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// No certificate was shown.
    #[error("the client showed no certificate")]
    Empty,
    /// More certificates than are read.
    #[error("the chain has {count} certificates, at most {MAX_CHAIN_CERTIFICATES} are read")]
    TooLong {
        /// The number of certificates shown.
        count: usize,
    },
    /// More bytes than are read.
    #[error("the chain has {bytes} bytes, at most {MAX_CHAIN_BYTES} are read")]
    TooLarge {
        /// How many bytes of DER were shown.
        bytes: usize,
    },
    /// An element is not a certificate.
    #[error("certificate {position} of the chain (1 is the leaf) cannot be read")]
    Unparsable {
        /// Counted from 1, the leaf.
        position: usize,
        /// The fault of that certificate.
        #[source]
        source: CertificateError,
    },
    /// An element of the path is no longer valid.
    #[error(
        "the certificate of {subject} expired at {}; renew it, or check this machine's clock",
        not_after.in_seconds()
    )]
    Expired {
        /// Subject of the certificate with the fault.
        subject: String,
        /// `notAfter`: the last second of its validity.
        not_after: Timestamp,
    },
    /// An element of the path is not valid yet.
    #[error(
        "the certificate of {subject} is not valid before {}; check the clock of the machine \
         that issued it and this one's",
        not_before.in_seconds()
    )]
    NotYetValid {
        /// Subject of the certificate with the fault.
        subject: String,
        /// `notBefore`: the first second of its validity.
        not_before: Timestamp,
    },
    /// A CA certificate where an identity belongs.
    #[error(
        "the certificate of {subject} is a CA certificate (CA:TRUE) and cannot be a device's \
         identity; present a leaf that it issued"
    )]
    LeafIsCa {
        /// Subject of the certificate with the fault.
        subject: String,
    },
    /// The path ends before the anchor.
    #[error(
        "the certificate of {subject} was issued by {issuer_wanted}, which is neither in the chain \
         nor the enrollment's certificate; present the full chain"
    )]
    MissingIssuer {
        /// The last certificate that could be reached.
        subject: String,
        /// The issuer that it names.
        issuer_wanted: String,
    },
    /// A signature does not hold.
    #[error(
        "the certificate of {subject} was not signed with the key of the {issuer} at hand; another \
         CA of the same name issued it, or it was altered"
    )]
    BadSignature {
        /// Subject of the certificate with the fault.
        subject: String,
        /// Subject of the CA whose key was tried.
        issuer: String,
    },
    /// A key that is too weak or of a kind that is not supported.
    #[error(
        "the certificate of {subject} {problem}, which is not accepted; use RSA of 2048 to 8192 \
         bits with SHA-256 or better, P-256, P-384, P-521 or Ed25519"
    )]
    UnsupportedAlgorithm {
        /// Subject of the certificate with the fault.
        subject: String,
        /// What it has, in words that follow its name.
        problem: String,
    },
    /// An issuer that is no CA.
    #[error(
        "{subject} is no CA (basicConstraints CA:TRUE is missing) and may not issue certificates; \
         have the certificate issued by a CA"
    )]
    IssuerNotCa {
        /// Subject of the certificate that cannot be the issuer.
        subject: String,
    },
    /// keyUsage or extendedKeyUsage forbid what the certificate is used for.
    #[error("the certificate of {subject} may not be used like this: {problem}")]
    WrongUsage {
        /// Subject of the certificate with the fault.
        subject: String,
        /// The usage that is missing, in words.
        problem: &'static str,
    },
    /// More CAs below an issuer than it allows.
    #[error(
        "{subject} allows {allowed} CAs below it (pathlen), the chain has {found}; issue from a CA \
         nearer to it, or issue it anew with a larger pathlen"
    )]
    PathLength {
        /// Subject of the CA that sets the limit.
        subject: String,
        /// The value of its pathLenConstraint.
        allowed: u32,
        /// CAs between it and the leaf.
        found: u32,
    },
    /// A name constraint of an issuer is violated.
    #[error(
        "the certificate of {subject} has the name {name}, which {issuer} does not allow below it \
         (nameConstraints)"
    )]
    NameConstraint {
        /// Subject of the certificate with the fault.
        subject: String,
        /// The name that is not permitted.
        name: String,
        /// The issuer that constrains it.
        issuer: String,
    },
    /// An issuer wants certificate policies below it, and none of those goes all the way.
    #[error(
        "an issuer of {subject} wants certificate policies (policyConstraints), and none holds \
         from there to this certificate"
    )]
    Policy {
        /// Subject of the certificate at which the last policy ended.
        subject: String,
    },
    /// Something that must be understood is not, or the encoding is not strict DER.
    #[error(
        "the certificate of {subject} has something that is not understood and must not be \
         ignored: {problem}"
    )]
    NotUnderstood {
        /// Subject of the certificate with the fault.
        subject: String,
        /// What is not understood, in words.
        problem: String,
    },
    /// More CAs between leaf and anchor than the caller allows.
    #[error(
        "{found} CAs are between {subject} and the trust anchor, and at most {allowed} are allowed"
    )]
    TooDeep {
        /// Subject of the leaf.
        subject: String,
        /// The caller's limit.
        allowed: u32,
        /// CAs between leaf and anchor.
        found: u32,
    },
    /// A server's path is not as RFC 5280 wants it to be issued.
    #[error(
        "the certificate of {subject} does not conform to RFC 5280, so that some clients refuse \
         it: {fault}; issue it anew"
    )]
    NotConforming {
        /// Subject of the certificate with the fault.
        subject: String,
        /// The rule that is broken.
        fault: ConformityFault,
    },
    /// A server's certificate is not for the name under which it was reached.
    #[error(
        "the certificate of {subject} is not for {wanted} but for {presented}; issue it with that \
         subjectAltName, or use a name that it has"
    )]
    ServerName {
        /// Subject of the leaf.
        subject: String,
        /// The name that was wanted.
        wanted: String,
        /// The names that it has.
        presented: String,
    },
    /// A certificate of the path is revoked.
    #[error(
        "the certificate of {subject} with serial number {serial} was revoked at {} ({}); have a \
         new one issued",
        since.in_seconds(),
        reason.unwrap_or("without a reason")
    )]
    Revoked {
        /// Subject of the revoked certificate.
        subject: String,
        /// Its serial number, hexadecimal.
        serial: String,
        /// The moment of revocation.
        since: Timestamp,
        /// The reason in the words of RFC 5280.
        reason: Option<&'static str>,
    },
    /// Revocation was to be looked up, and no list is there.
    #[error(
        "whether the certificate of {subject} is revoked is not known: no CRL of {issuer} was \
         given; give the one that it publishes"
    )]
    RevocationUnknown {
        /// Subject of the leaf.
        subject: String,
        /// Its issuer, whose list is wanted.
        issuer: String,
    },
    /// A CRL that proves nothing.
    #[error("the CRL of {issuer} cannot be used: {problem}; fetch the one that it publishes now")]
    CrlUnusable {
        /// Subject of the CA that the list is of.
        issuer: String,
        /// What is wrong with the list, in words.
        problem: String,
    },
    /// Nothing to verify up to.
    #[error("there is no trust anchor; name the CA certificate that is trusted")]
    NoTrustAnchor,
    /// Another certificate than the pinned one.
    #[error(
        "the presented certificate (SHA-256 {presented}) is not the registered one ({expected})"
    )]
    NotPinned {
        /// The thumbprint that is registered.
        expected: Thumbprint,
        /// The thumbprint of the presented leaf.
        presented: Thumbprint,
    },
}

impl ChainError {
    /// A stable name for logs, metrics and programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "chain_empty",
            Self::TooLong { .. } => "chain_too_long",
            Self::TooLarge { .. } => "chain_too_large",
            Self::Unparsable { .. } => "certificate_unparsable",
            Self::Expired { .. } => "certificate_expired",
            Self::NotYetValid { .. } => "certificate_not_yet_valid",
            Self::LeafIsCa { .. } => "leaf_is_ca",
            Self::MissingIssuer { .. } => "issuer_missing",
            Self::BadSignature { .. } => "signature_bad",
            Self::UnsupportedAlgorithm { .. } => "algorithm_unsupported",
            Self::IssuerNotCa { .. } => "issuer_not_ca",
            Self::WrongUsage { .. } => "usage_wrong",
            Self::PathLength { .. } => "path_length_exceeded",
            Self::NameConstraint { .. } => "name_constraint_violated",
            Self::Policy { .. } => "policy_missing",
            Self::NotUnderstood { .. } => "certificate_not_understood",
            Self::TooDeep { .. } => "path_too_deep",
            Self::NotConforming { fault, .. } => fault.code(),
            Self::ServerName { .. } => "server_name_mismatch",
            Self::Revoked { .. } => "certificate_revoked",
            Self::RevocationUnknown { .. } => "crl_missing",
            Self::CrlUnusable { .. } => "crl_unusable",
            Self::NoTrustAnchor => "trust_anchor_missing",
            Self::NotPinned { .. } => "leaf_not_pinned",
        }
    }

    /// The subject of the certificate with the fault, or of its issuer where that is at fault.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        match self {
            Self::Expired { subject, .. }
            | Self::NotYetValid { subject, .. }
            | Self::LeafIsCa { subject }
            | Self::MissingIssuer { subject, .. }
            | Self::BadSignature { subject, .. }
            | Self::UnsupportedAlgorithm { subject, .. }
            | Self::IssuerNotCa { subject }
            | Self::WrongUsage { subject, .. }
            | Self::PathLength { subject, .. }
            | Self::NameConstraint { subject, .. }
            | Self::Policy { subject }
            | Self::NotUnderstood { subject, .. }
            | Self::TooDeep { subject, .. }
            | Self::NotConforming { subject, .. }
            | Self::ServerName { subject, .. }
            | Self::Revoked { subject, .. }
            | Self::RevocationUnknown { subject, .. } => Some(subject),
            Self::CrlUnusable { issuer, .. } => Some(issuer),
            Self::Empty
            | Self::TooLong { .. }
            | Self::TooLarge { .. }
            | Self::Unparsable { .. }
            | Self::NoTrustAnchor
            | Self::NotPinned { .. } => None,
        }
    }
}
