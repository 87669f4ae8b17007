//! What enrollments name for their devices: issuers of certificates, and trust bundles.

use ids::{CertificateName, Etag, IssuerName, Timestamp, TrustBundleId};
use registry::StorageError;
use store::EnrollmentKey;

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
    /// The CA certificate to be trusted does not exist, or the one to be removed is not trusted.
    /// DPS answers 404.
    #[error("there is no CA certificate {certificate} that device issuer {issuer} could trust")]
    NoSuchTrust {
        issuer: IssuerName,
        certificate: CertificateName,
    },
    /// Possession of the CA's key is not proven. DPS answers 400.
    #[error(
        "CA certificate {certificate} is not verified; verify it first: muster dps certificate verify"
    )]
    TrustUnverified { certificate: CertificateName },
    /// DPS answers 400.
    #[error("device issuer {issuer} trusts {limit} CA certificates already; take one away")]
    TooManyTrusts { issuer: IssuerName, limit: usize },
    #[error(transparent)]
    Storage(#[from] StorageError),
}

fn list(enrollments: &[EnrollmentKey]) -> String {
    let names: Vec<String> = enrollments.iter().map(ToString::to_string).collect();
    names.join(", ")
}
