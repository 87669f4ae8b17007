use ids::{CertificateName, Etag, Thumbprint, Timestamp};
use registry::StorageError;
use store::{CaCertificateState, EnrollmentKey, VerificationCode};

/// A CA certificate that an operator uploaded. Enrollments refer to it by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaCertificate {
    pub name: CertificateName,
    pub der: Vec<u8>,
    /// The SHA-256 of `der`.
    pub thumbprint: Thumbprint,
    /// Whether it may vouch for devices.
    pub state: CaCertificateState,
    /// The code handed out last; `None` once it was used.
    pub code: Option<VerificationCode>,
    pub etag: Etag,
    /// When it was uploaded.
    pub created: Timestamp,
    /// When it was last written.
    pub updated: Timestamp,
}

/// A CA certificate to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaCertificateDraft {
    pub name: CertificateName,
    pub der: Vec<u8>,
    /// The SHA-256 of `der`.
    pub thumbprint: Thumbprint,
    /// Its subject, in the form in which names are compared.
    pub subject: Vec<u8>,
    /// Whether the operator answers for it. `None` keeps what is known about the same certificate.
    pub verified: Option<bool>,
}

/// Evidence that the operator has the key of a CA certificate: a certificate of this name, signed
/// with it, was shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PossessionProof {
    /// The CA certificate whose key signed.
    pub ca_certificate: Thumbprint,
    /// The common name of what it signed.
    pub code: String,
}

/// Why a CA certificate was not written or deleted.
#[derive(Debug, thiserror::Error)]
pub enum CaCertificateError {
    /// Nothing of that name. DPS answers 404.
    #[error("there is no CA certificate {0}")]
    NotFound(CertificateName),
    /// It exists and no `If-Match` said that it should. DPS answers 409.
    #[error("CA certificate {0} exists already; send If-Match to change it")]
    Exists(CertificateName),
    /// The etag is not the stored one. DPS answers 412.
    #[error("CA certificate {0} has changed since the etag sent")]
    PreconditionFailed(CertificateName),
    /// One certificate under two names. DPS answers 409.
    #[error("certificate {thumbprint} was uploaded as {other} already")]
    CertificateTaken {
        thumbprint: Thumbprint,
        /// The name that it has.
        other: CertificateName,
    },
    /// Enrollments rely on it. DPS answers 409.
    #[error(
        "CA certificate {name} is what {} relies on; it cannot become unverified, nor another certificate: upload the new one under a name of its own, select it there, then delete this one",
        list(.enrollments)
    )]
    InUse {
        name: CertificateName,
        /// Who relies on it; some of them.
        enrollments: Vec<EnrollmentKey>,
    },
    #[error(
        "there are {0} CA certificates already, and no more are kept; delete one that nobody refers to"
    )]
    TooMany(usize),
    /// No code was handed out, or it was used, or it is another certificate by now.
    #[error(
        "the verification certificate is named {presented:?}, which is not the code of CA certificate {name}; generate a verification code and issue a certificate of that common name"
    )]
    OtherCode {
        name: CertificateName,
        /// The common name shown.
        presented: String,
    },
    /// It took too long.
    #[error(
        "the verification code of CA certificate {name} expired at {}; generate another",
        expired.in_seconds()
    )]
    CodeExpired {
        name: CertificateName,
        expired: Timestamp,
    },
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<store::StoreError> for CaCertificateError {
    fn from(error: store::StoreError) -> Self {
        Self::Storage(error.into())
    }
}

fn list(enrollments: &[EnrollmentKey]) -> String {
    let names: Vec<String> = enrollments.iter().map(ToString::to_string).collect();
    names.join(", ")
}
