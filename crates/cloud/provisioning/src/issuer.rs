//! Issuers of certificates, with the CAs that sign for them, and their users.

use ids::{CertificateName, Etag, IssuerName, IssuerUserName, Thumbprint, Timestamp};
use registry::StorageError;
use serde::{Deserialize, Serialize};
use store::Secret;
use wire::muster_api::issuer::{IssuerProfile, IssuerSettings};

use crate::issuance::IssuanceError;

/// An issuer to be written. Its key is kept in a file, by the certificate's thumbprint.
#[derive(Debug, Clone, PartialEq)]
pub struct IssuerDraft {
    pub name: IssuerName,
    /// SHA-256 of its CA certificate.
    pub ca_certificate: Thumbprint,
    /// Its CA certificate and those above it, PEM.
    pub chain: String,
    pub profile: IssuerProfile,
    pub settings: IssuerSettings,
}

/// An issuer as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct IssuerRecord {
    /// Its name as spelled.
    pub name: IssuerName,
    pub profile: IssuerProfile,
    pub settings: IssuerSettings,
    /// Uploaded CA certificates whose devices may have certificates issued, each for its own name.
    pub trusts: Vec<CertificateName>,
    pub generations: IssuerGenerations,
    pub etag: Etag,
    pub created: Timestamp,
    /// When it was last written.
    pub updated: Timestamp,
}

impl IssuerRecord {
    /// Whether its certificates are identities of devices towards DPS and hub. Enrollments name
    /// no other issuer.
    #[must_use]
    pub fn is_of_identities(&self) -> bool {
        self.profile.kind.is_identity()
    }
}

/// The CAs of an issuer: one, and while it rolls the next one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuerGenerations {
    pub current: IssuerGeneration,
    /// The CA that `current` is rolled to. It signs already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<IssuerGeneration>,
    /// CAs that sign no longer, the last one first. What they issued may still be valid.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub previous: Vec<IssuerGeneration>,
}

/// One CA of an issuer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuerGeneration {
    /// SHA-256 of its certificate: by it its key is found.
    pub thumbprint: Thumbprint,
    /// Its certificate and those above it, PEM.
    pub chain: String,
}

impl IssuerGenerations {
    /// A CA that is not rolled yet.
    #[must_use]
    pub fn first(current: IssuerGeneration) -> Self {
        Self {
            current,
            next: None,
            previous: Vec::new(),
        }
    }

    /// The CA that signs now.
    #[must_use]
    pub fn issuing(&self) -> &IssuerGeneration {
        self.next.as_ref().unwrap_or(&self.current)
    }

    /// All of them, the newest first.
    pub fn all(&self) -> impl Iterator<Item = &IssuerGeneration> {
        self.next
            .iter()
            .chain([&self.current])
            .chain(&self.previous)
    }

    /// Those whose certificates are still admitted, the newest first.
    pub fn admitted(&self) -> impl Iterator<Item = &IssuerGeneration> {
        self.next.iter().chain([&self.current])
    }

    #[must_use]
    pub fn has(&self, ca_certificate: &Thumbprint) -> bool {
        self.all().any(|one| one.thumbprint == *ca_certificate)
    }
}

/// An issuer that is there no longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedIssuer {
    /// SHA-256 of its CA certificates that no other issuer has: their keys are needed no longer.
    pub unused_ca_certificates: Vec<Thumbprint>,
}

/// A user of an issuer to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct IssuerUserDraft {
    pub name: IssuerUserName,
    /// A PHC string, or `sha256:` and hexadecimal of a password of 256 random bits.
    pub password: Secret,
    /// Certificates that may be issued; `None`: as many as wanted.
    pub uses: Option<u32>,
    pub expires: Option<Timestamp>,
}

/// What becomes of a user who gets another password.
#[derive(Debug, Clone, PartialEq)]
pub struct IssuerUserReset {
    pub name: IssuerUserName,
    pub password: Secret,
    /// The uses from now on; `None`: those that are left stay.
    pub uses: Option<u32>,
    /// The end from now on; `None`: it stays.
    pub expires: Option<Timestamp>,
}

/// A user of an issuer as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct IssuerUser {
    pub name: IssuerUserName,
    pub password: Secret,
    /// Certificates that may still be issued; `None`: as many as wanted.
    pub uses_left: Option<u32>,
    pub expires: Option<Timestamp>,
    /// The version: another password gives another one, a use does not.
    pub etag: Etag,
    pub created: Timestamp,
    pub updated: Timestamp,
}

/// Why a user of an issuer was not written or read.
#[derive(Debug, thiserror::Error)]
pub enum IssuerUserError {
    #[error("device issuer {issuer} has no user {user}")]
    NotFound {
        issuer: IssuerName,
        user: IssuerUserName,
    },
    #[error("device issuer {issuer} has a user {user} already; reset it, or delete it first")]
    Exists {
        issuer: IssuerName,
        user: IssuerUserName,
    },
    #[error("device issuer {issuer} has {limit} users already; delete one")]
    TooMany { issuer: IssuerName, limit: usize },
    /// The issuer does not exist.
    #[error(transparent)]
    Issuer(#[from] IssuanceError),
}

impl From<StorageError> for IssuerUserError {
    fn from(error: StorageError) -> Self {
        Self::Issuer(error.into())
    }
}

impl From<store::StoreError> for IssuerUserError {
    fn from(error: store::StoreError) -> Self {
        Self::Issuer(StorageError::from(error).into())
    }
}
