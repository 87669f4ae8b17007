//! What enrollments name for their devices: issuers of certificates, and trust bundles.

use ids::{Etag, IssuerName, Thumbprint, Timestamp, TrustBundleId};
use registry::StorageError;
use store::EnrollmentKey;
use wire::muster_api::issuer::IssuerProfile;

/// The name of either. Shown as what operators call it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IssuanceName {
    Issuer(IssuerName),
    TrustBundle(TrustBundleId),
}

impl std::fmt::Display for IssuanceName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Issuer(name) => write!(f, "device issuer {name}"),
            Self::TrustBundle(id) => write!(f, "trust bundle {id}"),
        }
    }
}

/// What an enrollment names.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EnrolledIssuance {
    /// What issues certificates to its devices.
    pub issuer: Option<IssuerName>,
    /// The trust bundle that its devices get.
    pub trust_bundle: Option<TrustBundleId>,
}

/// An issuer to be written. Its key is kept in a file, by the certificate's thumbprint.
#[derive(Debug, Clone, PartialEq)]
pub struct IssuerDraft {
    pub name: IssuerName,
    /// SHA-256 of its CA certificate.
    pub ca_certificate: Thumbprint,
    /// Its CA certificate and those above it, PEM.
    pub chain: String,
    /// What its certificates are like.
    pub profile: IssuerProfile,
}

/// An issuer as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct IssuerRecord {
    /// Its name as spelled.
    pub name: IssuerName,
    /// SHA-256 of its CA certificate.
    pub ca_certificate: Thumbprint,
    /// Its CA certificate and those above it, PEM.
    pub chain: String,
    /// What its certificates are like.
    pub profile: IssuerProfile,
    pub etag: Etag,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last written.
    pub updated: Timestamp,
}

/// An issuer that is there no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeletedIssuer {
    /// SHA-256 of its CA certificate.
    pub ca_certificate: Thumbprint,
    /// Whether another issuer has the same CA, so that its key is still needed.
    pub is_shared: bool,
}

/// A trust bundle to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustBundleDraft {
    pub id: TrustBundleId,
    pub certificates: String,
}

/// A trust bundle as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustBundleRecord {
    /// Its name as spelled.
    pub id: TrustBundleId,
    pub certificates: String,
    pub etag: Etag,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last written.
    pub updated: Timestamp,
}

/// Why an issuer or a trust bundle was not written or deleted.
#[derive(Debug, thiserror::Error)]
pub enum IssuanceError {
    /// Nothing of that name. DPS answers 404.
    #[error("{0} does not exist")]
    NotFound(IssuanceName),
    /// It exists. DPS answers 409.
    #[error(
        "{0} exists already; a trust bundle is replaced with If-Match, an issuer by another one"
    )]
    Exists(IssuanceName),
    /// The etag is not the stored one. DPS answers 412.
    #[error("{0} has changed since the etag sent")]
    PreconditionFailed(IssuanceName),
    /// Enrollments name it. DPS answers 409.
    #[error("{name} is named by {}; name another one there first", list(.enrollments))]
    InUse {
        name: IssuanceName,
        /// Some of the enrollments that name it.
        enrollments: Vec<EnrollmentKey>,
    },
    /// There are enough. DPS answers 400.
    #[error(
        "{name} is not made: there are {limit} of its kind already; delete one that nobody names"
    )]
    TooMany {
        name: IssuanceName,
        /// How many are kept.
        limit: usize,
    },
    #[error(transparent)]
    Storage(#[from] StorageError),
}

fn list(enrollments: &[EnrollmentKey]) -> String {
    let names: Vec<String> = enrollments.iter().map(ToString::to_string).collect();
    names.join(", ")
}
