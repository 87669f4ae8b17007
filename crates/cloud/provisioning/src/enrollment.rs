use ids::ProfileKind;
use ids::{CertificateName, Etag, IssuerName, Thumbprint, Timestamp};
use registry::StorageError;
use serde_json::Value;
use store::{AttestationKind, CaCertificateState, CertificateSlot, EnrollmentKey};

use crate::issuance::{EnrolledIssuance, IssuanceName};

/// A certificate of an enrollment: the leaf of an individual one, a CA certificate of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolledCertificate {
    pub slot: CertificateSlot,
    pub der: Vec<u8>,
    /// The SHA-256 of `der`.
    pub thumbprint: Thumbprint,
    /// Its subject in the form in which names are compared, for a group: chains that end before the
    /// certificate are continued by it. Absent for leaves.
    pub subject: Option<Vec<u8>>,
}

/// A CA certificate that an enrollment refers to, as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolledCaCertificate {
    pub slot: CertificateSlot,
    pub name: CertificateName,
    /// Whether it may vouch for devices.
    pub state: CaCertificateState,
    pub der: Vec<u8>,
}

/// An enrollment to be written.
#[derive(Clone, PartialEq)]
pub struct EnrollmentDraft {
    pub key: EnrollmentKey,
    pub enabled: bool,
    /// How devices prove themselves.
    pub attestation: AttestationKind,
    /// The normalised wire document, without `etag` and dates. May carry symmetric keys.
    pub document: Value,
    /// Its certificates: what it is found by. One certificate belongs to one enrollment of a
    /// service.
    pub certificates: Vec<EnrolledCertificate>,
    /// The CA certificates that it refers to. A group has them for itself.
    pub ca_certificates: Vec<(CertificateSlot, CertificateName)>,
    /// The issuer and the trust bundle that it names.
    pub issuance: EnrolledIssuance,
}

/// An enrollment as it is stored.
#[derive(Clone, PartialEq)]
pub struct EnrollmentRecord {
    /// Its name, spelled as when it was created.
    pub key: EnrollmentKey,
    /// Its version, bare (the wire puts quotes inside the JSON text).
    pub etag: Etag,
    pub enabled: bool,
    /// Whether an operator has shut its device out everywhere; it is not enabled then.
    pub blocked: bool,
    /// How devices prove themselves.
    pub attestation: AttestationKind,
    /// The document as written. May carry symmetric keys.
    pub document: Value,
    pub certificates: Vec<EnrolledCertificate>,
    /// The CA certificates that it refers to.
    pub ca_certificates: Vec<EnrolledCaCertificate>,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last written.
    pub updated: Timestamp,
}

impl std::fmt::Debug for EnrollmentDraft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EnrollmentDraft")
            .field("key", &self.key)
            .field("enabled", &self.enabled)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for EnrollmentRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EnrollmentRecord")
            .field("key", &self.key)
            .field("etag", &self.etag)
            .finish_non_exhaustive()
    }
}

/// Why an enrollment was not written or deleted.
#[derive(Debug, thiserror::Error)]
pub enum EnrollmentError {
    /// Nothing of that name. DPS answers 404.
    #[error("{0} does not exist")]
    NotFound(EnrollmentKey),
    /// It exists and no `If-Match` said that it should. DPS answers 409.
    #[error("{0} exists already; send If-Match to change it")]
    Exists(EnrollmentKey),
    /// The etag is not the stored one. DPS answers 412.
    #[error("{0} has changed since the etag sent")]
    PreconditionFailed(EnrollmentKey),
    /// One certificate in two enrollments of a service. DPS answers 409.
    #[error("certificate {thumbprint} belongs to {other} already")]
    CertificateTaken {
        thumbprint: Thumbprint,
        /// The enrollment that has it.
        other: EnrollmentKey,
    },
    /// It refers to a CA certificate that does not exist. DPS answers 400.
    #[error("there is no CA certificate {0}; upload it first")]
    NoCaCertificate(CertificateName),
    /// It refers to a CA certificate that is not verified yet. DPS answers 400.
    #[error(
        "CA certificate {0} is not verified, so that no device could be let in by it; prove possession of its key, or upload it as verified"
    )]
    CaCertificateNotVerified(CertificateName),
    /// It names an issuer or a trust bundle that is not there. DPS answers 400.
    #[error("{0} does not exist; make it first")]
    NoIssuance(IssuanceName),
    /// It names an issuer whose certificates are not for devices that register. DPS answers 400.
    #[error(
        "device issuer {issuer} has the profile {}, whose certificates are no identities of \
         devices; name an issuer of the profile edge-identity or device, or create one",
        .profile.name()
    )]
    IssuerProfile {
        issuer: IssuerName,
        profile: ProfileKind,
    },
    /// More groups whose devices derive keys than a token can be tried with. DPS answers 400.
    #[error(
        "a provisioning service has at most {0} enrollment groups with symmetric keys; delete one, or let devices share a group"
    )]
    TooManyKeyed(usize),
    /// Its device is blocked: what keeps the device out stays as it is. DPS answers 409.
    #[error(
        "the device of {key} is blocked; take the block back first: muster dps unblock --registration-id {id}",
        id = key.as_str()
    )]
    Blocked {
        /// The enrollment that keeps it out.
        key: EnrollmentKey,
    },
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<store::StoreError> for EnrollmentError {
    fn from(error: store::StoreError) -> Self {
        Self::Storage(error.into())
    }
}
