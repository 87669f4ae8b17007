use std::borrow::Cow;
use std::fmt;

use ids::{EnrollmentId, Etag, RegistrationId};

#[derive(Clone, PartialEq, Eq)]
pub struct EnrollmentRow {
    /// Row id; 0 before it is inserted.
    pub id: i64,
    /// Spelled as when it was created.
    pub key: EnrollmentKey,
    pub etag: Etag,
    /// Whether devices may register through it.
    pub enabled: bool,
    pub attestation: AttestationKind,
    /// JSON. May carry symmetric keys.
    pub document: String,
    /// Row id of the issuer that it names.
    pub issuer: Option<i64>,
    /// Row id of the trust bundle that it names.
    pub trust_bundle: Option<i64>,
    /// When it was created, 100 ns since 1970.
    pub created: i64,
    /// When it was last written, 100 ns since 1970.
    pub updated: i64,
}

/// The name of an enrollment. Compared without case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum EnrollmentKey {
    Individual(RegistrationId),
    Group(EnrollmentId),
}

impl EnrollmentKey {
    #[must_use]
    pub fn kind(&self) -> EnrollmentKind {
        match self {
            Self::Individual(_) => EnrollmentKind::Individual,
            Self::Group(_) => EnrollmentKind::Group,
        }
    }

    /// The id as it was spelled.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Individual(id) => id.as_str(),
            Self::Group(id) => id.as_str(),
        }
    }

    /// The id in lower case.
    #[must_use]
    pub fn folded(&self) -> Cow<'_, str> {
        match self {
            Self::Individual(id) => Cow::Borrowed(id.folded()),
            Self::Group(id) => Cow::Owned(id.folded()),
        }
    }
}

impl fmt::Display for EnrollmentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Individual(id) => write!(f, "individual enrollment {id}"),
            Self::Group(id) => write!(f, "enrollment group {id}"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EnrollmentKind {
    /// For one registration id.
    Individual,
    /// For devices with the group's certificate or derived key.
    Group,
}

stored_names!(EnrollmentKind {
    Individual => "individual",
    Group => "group",
});

/// How the devices of an enrollment prove themselves. The particulars are in its document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AttestationKind {
    X509,
    /// By a key, their own or one derived from a group's.
    SymmetricKey,
    Tpm,
}

stored_names!(AttestationKind {
    X509 => "x509",
    SymmetricKey => "symmetricKey",
    Tpm => "tpm",
});

/// Tells whether a remembered enrollment is current.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrollmentVersion {
    /// Row id.
    pub id: i64,
    pub etag: Etag,
}

/// The etags of what can decide about a registration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deciding {
    /// Of its individual enrollment.
    pub individual: Option<Etag>,
    /// Of the group that was asked for.
    pub group: Option<Etag>,
}
