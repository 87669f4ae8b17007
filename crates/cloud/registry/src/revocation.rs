//! Which certificates are revoked or on hold: those of this server's issuers, by operators, and
//! those of other CAs, by their revocation lists.
//!
//! All of it is in memory, because every registration and every connection asks. It is read when
//! the directory is opened, and follows each commit.

mod index;
mod key;
mod list;

pub use index::{OwnCertificate, Revocations};
pub use key::{CertificateKey, ProvenPath, name_path};
pub use list::{ListAge, ListSettings, ListedSerials, RevocationList};

use ids::{CertificateName, CertificateSerial, IssuerName, Timestamp};
use pki::RevocationReason;

/// Why a certificate opens nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotInForce {
    #[error(transparent)]
    Revoked(Box<Revocation>),
    #[error(transparent)]
    Stale(Box<StaleList>),
}

/// A certificate that is revoked or on hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "certificate {serial} of {by} {} {}: {}",
    match self.is_hold() { true => "is on hold since", false => "was revoked at" },
    since.in_seconds(),
    reason.name()
)]
pub struct Revocation {
    pub serial: CertificateSerial,
    pub reason: RevocationReason,
    pub since: Timestamp,
    pub by: RevokedBy,
}

impl Revocation {
    /// Whether it may come back into force.
    #[must_use]
    pub fn is_hold(&self) -> bool {
        self.reason == RevocationReason::CertificateHold
    }
}

/// Who says that a certificate is revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RevokedBy {
    /// An operator, of an issuer of this server.
    Issuer(IssuerName),
    /// The revocation list of another CA.
    List(CertificateName),
}

impl std::fmt::Display for RevokedBy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Issuer(name) => write!(f, "device issuer {name}"),
            Self::List(name) => write!(f, "revocation list {name}"),
        }
    }
}

/// A list that is too old, or was never there, and whose CA's certificates are refused then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "revocation list {list} {}, and its certificates are refused then",
    match next_update {
        Some(at) => format!("ended at {}", at.in_seconds()),
        None => "is not there yet".to_owned(),
    }
)]
pub struct StaleList {
    pub list: CertificateName,
    pub next_update: Option<Timestamp>,
}

impl NotInForce {
    /// A stable name for logs, metrics and programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Revoked(revocation) if revocation.is_hold() => "certificate_on_hold",
            Self::Revoked(_) => "certificate_revoked",
            Self::Stale(_) => "revocation_list_stale",
        }
    }
}
