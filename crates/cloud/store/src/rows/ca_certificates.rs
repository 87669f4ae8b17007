/// An uploaded CA certificate of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaCertificateRow {
    /// Row id; 0 before it is inserted.
    pub id: i64,
    /// Its name in lower case.
    pub folded: String,
    /// Its name as spelled.
    pub spelled: String,
    /// The SHA-256 thumbprint of `der`.
    pub thumbprint: [u8; 32],
    /// The subject in the form in which names are compared; earlier versions wrote its DER.
    pub subject: Vec<u8>,
    pub der: Vec<u8>,
    /// `unverified`, `verified` or `withdrawn`.
    pub standing: String,
    /// What a certificate must be named that proves possession of the key.
    pub code: Option<String>,
    /// Until when the code counts, 100 ns since 1970.
    pub code_expires: Option<i64>,
    pub etag: String,
    /// When it was uploaded, 100 ns since 1970.
    pub created: i64,
    /// When it was last written, 100 ns since 1970.
    pub updated: i64,
}
