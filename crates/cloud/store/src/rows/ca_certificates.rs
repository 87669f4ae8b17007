use ids::{CertificateName, Etag, Thumbprint, Timestamp};

/// An uploaded CA certificate of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaCertificateRow {
    /// Row id; 0 before it is inserted.
    pub id: i64,
    pub name: CertificateName,
    /// The SHA-256 of `der`.
    pub thumbprint: Thumbprint,
    /// The subject in the form in which names are compared; earlier versions wrote its DER.
    pub subject: Vec<u8>,
    pub der: Vec<u8>,
    pub state: CaCertificateState,
    /// The code that was handed out last; `None` once it is used.
    pub code: Option<VerificationCode>,
    pub etag: Etag,
    /// When it was uploaded, 100 ns since 1970.
    pub created: i64,
    /// When it was last written, 100 ns since 1970.
    pub updated: i64,
}

/// Whether an uploaded CA certificate may vouch for devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaCertificateState {
    /// Uploaded; possession of its key has not been proved.
    Unverified,
    /// Possession of its key was proven, or the operator answered for it.
    Verified,
    /// Deleted while enrollments refer to it. They keep its name and admit nobody by it.
    Withdrawn,
}

stored_names!(CaCertificateState {
    Unverified => "unverified",
    Verified => "verified",
    Withdrawn => "withdrawn",
});

/// The common name that a certificate needs to prove possession of a CA certificate's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerificationCode {
    pub text: String,
    pub expires: Timestamp,
}
