/// An issuer of device certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerRow {
    /// Row id; 0 before it is inserted.
    pub id: i64,
    /// The name in lower case.
    pub folded: String,
    pub spelled: String,
    /// SHA-256 of its certificate.
    pub thumbprint: [u8; 32],
    pub document: String,
    pub etag: String,
    /// 100 ns since 1970.
    pub created: i64,
    /// When it was last written, 100 ns since 1970.
    pub updated: i64,
}
