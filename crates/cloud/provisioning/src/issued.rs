//! Certificates that issuers have issued.

use ids::{CertificateSerial, Etag, IssuerName, IssuerUserName, Thumbprint, Timestamp};
use registry::revocation::{NotInForce, ProvenPath};
use registry::{Continuation, StorageError};
use store::{CertificateOrigin, EnrollmentKey, IssuedState};
use wire::muster_api::issuer::PinnedCertificates;

/// A certificate that was signed and is to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct IssuedCertificate {
    pub issuer: IssuerName,
    /// The version of the issuer that had it signed.
    pub issuer_version: Etag,
    /// SHA-256 of the CA certificate that signed it.
    pub authority: Thumbprint,
    pub serial: CertificateSerial,
    pub common_name: String,
    /// SHA-256 of `der`.
    pub thumbprint: Thumbprint,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    /// The kind of its key, as operators name it.
    pub key_type: &'static str,
    pub requester: Requester,
    /// What becomes of the certificates that the enrollment of its device pins.
    pub pinned_certificates: PinnedCertificates,
    pub der: Vec<u8>,
}

/// Who has a certificate issued.
#[derive(Debug, Clone, PartialEq)]
pub enum Requester {
    /// A device as it registers.
    Registration,
    /// A client of EST with a password. One of the user's uses is spent.
    EstUser {
        name: IssuerUserName,
        /// The version of the user that proved to have the password.
        version: Etag,
    },
    /// A client of EST with a certificate.
    EstCertificate(ProvenPath),
    /// A device over its hub connection.
    Hub,
    Operator,
}

impl Requester {
    pub(crate) fn origin(&self) -> CertificateOrigin {
        match self {
            Self::Registration => CertificateOrigin::Registration,
            Self::EstUser { .. } | Self::EstCertificate(_) => CertificateOrigin::Est,
            Self::Hub => CertificateOrigin::Hub,
            Self::Operator => CertificateOrigin::Operator,
        }
    }

    pub(crate) fn username(&self) -> Option<&IssuerUserName> {
        match self {
            Self::EstUser { name, .. } => Some(name),
            _ => None,
        }
    }
}

/// Why a signed certificate was not written. Nobody may get it.
#[derive(Debug, thiserror::Error)]
pub enum EnterError {
    /// It was deleted, or its CA retired, since it signed.
    #[error("device issuer {0} no longer issues by that CA")]
    IssuerGone(IssuerName),
    /// The certificate of the requester was revoked or put on hold since.
    #[error("the certificate that asks for another is not in force: {0}")]
    NotInForce(NotInForce),
    /// The user was deleted or has another password since it proved to have one.
    #[error("user {0} has changed since")]
    UserChanged(IssuerUserName),
    /// The user may have no more certificates issued.
    #[error("user {0} is spent: as many certificates are issued as it was made for")]
    UserSpent(IssuerUserName),
    #[error("user {name} expired at {}", .at.in_seconds())]
    UserExpired { name: IssuerUserName, at: Timestamp },
    /// The device would have a certificate with which it could not register.
    #[error(
        "{enrollment} pins the certificate that asks and an operator's beside it, so that the new \
         one could not be pinned, as device issuer {issuer} has it; free the secondary slot first"
    )]
    PinOccupied {
        enrollment: EnrollmentKey,
        issuer: IssuerName,
    },
    /// A certificate of the device that it has renewed since.
    #[error("{enrollment} pins other certificates than the one that asks, which it has replaced")]
    Replaced { enrollment: EnrollmentKey },
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<store::StoreError> for EnterError {
    fn from(error: store::StoreError) -> Self {
        Self::Storage(error.into())
    }
}

/// A certificate that is listed.
#[derive(Debug, Clone, PartialEq)]
pub struct IssuedRecord {
    pub issuer: IssuerName,
    /// SHA-256 of the CA certificate that signed it; zeros when that is not known any more.
    pub authority: Thumbprint,
    pub serial: CertificateSerial,
    pub common_name: String,
    pub thumbprint: Thumbprint,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    pub key_type: Option<String>,
    pub origin: CertificateOrigin,
    pub username: Option<IssuerUserName>,
    pub issued: Timestamp,
    pub state: IssuedState,
    /// Why it is held or revoked: a name of RFC 5280 5.3.1.
    pub reason: Option<String>,
    /// When the state last changed.
    pub changed: Option<Timestamp>,
}

/// Which certificates of an issuer are asked for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct IssuedQuery {
    /// The common name, in any letter case.
    pub subject: Option<String>,
    pub state: Option<IssuedState>,
    /// Only those with a `notAfter` from here on.
    pub expires_from: Option<Timestamp>,
    /// Only those that expire before. The list is then in the order of expiry.
    pub expires_before: Option<Timestamp>,
    pub after: Option<Continuation>,
    /// At most this many; clamped to 1 to 1000.
    pub limit: usize,
}
