use std::path::PathBuf;

use pkcs11::TokenError;
use pki::{
    CrlError, CrlRefused, IssueError, KeyError, PemError, ProfileError, UnusableCaCertificate,
};

use super::MAX_CHAIN;
use crate::CaError;

/// Why an issuer is not kept, or does not issue.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    #[error("the certificate chain cannot be read")]
    Chain(#[from] PemError),
    #[error("the chain has {0} certificates; {MAX_CHAIN} at most are kept")]
    TooLong(usize),
    #[error(
        "{subject} is not signed by the certificate that follows it; give the issuing certificate \
         first, then the one that issued it"
    )]
    Broken {
        /// The certificate with another issuer than the next one.
        subject: String,
    },
    /// No device certificate of this CA would be trusted.
    #[error("the certificate {problem}")]
    Unusable { problem: UnusableCaCertificate },
    /// It shall issue certificates of CAs, and none of them would be trusted.
    #[error(
        "the CA certificate has a path length of 0, so that no CA may be below it; give one with \
         room, or another profile"
    )]
    PathLength,
    #[error("the private key cannot be read")]
    Key(#[from] KeyError),
    /// The certificate and the key do not belong together, or the certificate cannot sign.
    #[error(transparent)]
    Issue(#[from] IssueError),
    #[error("the profile of the issuer is not valid")]
    Profile(#[from] ProfileError),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(
        "the key in the token is not the key of {subject}; give the certificate of that key, or \
         the URI of this one"
    )]
    OtherKey {
        /// The certificate that was given.
        subject: String,
    },
    #[error("{subject} has a key of a kind that does not issue: use P-256, P-384, P-521 or RSA")]
    KeyKind { subject: String },
    /// It was not said that it shall be an experiment.
    #[error(
        "{subject} has a key of the kind {kind}, which is an experiment: give --experimental \
         (experimental) too"
    )]
    Experimental {
        /// The subject of the CA certificate.
        subject: String,
        /// The kind of its key.
        kind: &'static str,
    },
    /// The key file is neither a key nor a reference to one.
    #[error("the key file of this issuer is damaged: {0}; restore it from a backup")]
    Damaged(&'static str),
    /// The key file does not exist.
    #[error(
        "{} is missing: the key of this issuer; restore it from a backup of the data directory, \
         or delete the issuer and make another", .0.display()
    )]
    Missing(PathBuf),
    /// Certificates of this CA could be revoked in no list.
    #[error(
        "{subject} may not sign revocation lists: its keyUsage lacks cRLSign; give another CA, or \
         --no-crl (noCrl) when nobody outside needs to know what is revoked"
    )]
    NoCrlSign {
        /// The subject of the CA certificate.
        subject: String,
    },
    /// A revocation list that was just signed is broken: nobody gets it.
    #[error("the signed revocation list cannot be read")]
    CrlUnreadable(#[source] CrlError),
    #[error("the signed revocation list does not verify")]
    CrlUnverified(#[source] CrlRefused),
    #[error(transparent)]
    File(#[from] CaError),
}
