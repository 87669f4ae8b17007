use ids::{Etag, IssuerName, Thumbprint};

/// An issuer of device certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerRow {
    /// Row id; 0 before it is inserted.
    pub id: i64,
    pub name: IssuerName,
    /// Of its certificate.
    pub thumbprint: Thumbprint,
    /// JSON.
    pub document: String,
    pub etag: Etag,
    /// 100 ns since 1970.
    pub created: i64,
    /// When it was last written, 100 ns since 1970.
    pub updated: i64,
}
