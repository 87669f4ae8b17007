#[derive(Clone, PartialEq, Eq)]
pub struct EnrollmentRow {
    /// Row id; 0 before it is inserted.
    pub id: i64,
    /// `individual` or `group`.
    pub kind: String,
    /// The id in lower case.
    pub folded: String,
    /// The id as spelled.
    pub spelled: String,
    pub etag: String,
    /// Whether devices may register through it.
    pub enabled: bool,
    /// How devices prove themselves: `x509`, `symmetricKey` or `tpm`.
    pub attestation: String,
    /// JSON. May carry symmetric keys.
    pub document: String,
    /// When it was created, 100 ns since 1970.
    pub created: i64,
    /// When it was last written, 100 ns since 1970.
    pub updated: i64,
}

/// The etags of what can decide about a registration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deciding {
    /// Of its individual entry.
    pub individual: Option<String>,
    /// Of the group that was asked for.
    pub group: Option<String>,
}

/// A certificate of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateRow {
    /// The SHA-256 thumbprint of `der`.
    pub thumbprint: [u8; 32],
    /// `primary` or `secondary`.
    pub slot: String,
    pub der: Vec<u8>,
    /// The subject of a group's certificate in the form in which names are compared (earlier
    /// versions wrote its DER), by which a chain is continued that ends before it.
    pub subject: Option<Vec<u8>>,
}
