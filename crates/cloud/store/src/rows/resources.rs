/// An issuer of device certificates, or a trust bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceRow {
    /// Row id; 0 before it is inserted.
    pub id: i64,
    /// `issuer` or `trustBundle`.
    pub kind: String,
    /// Its name in lower case.
    pub folded: String,
    /// Its name as spelled.
    pub spelled: String,
    /// SHA-256 of an issuer's certificate.
    pub thumbprint: Option<[u8; 32]>,
    /// JSON.
    pub document: String,
    /// Its version.
    pub etag: String,
    /// When it was created, 100 ns since 1970.
    pub created: i64,
    /// When it was last written, 100 ns since 1970.
    pub updated: i64,
}
