/// A trust bundle that enrollments name for their devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustBundleRow {
    /// Row id; 0 before it is inserted.
    pub id: i64,
    /// The id in lower case.
    pub folded: String,
    pub spelled: String,
    pub document: String,
    pub etag: String,
    /// 100 ns since 1970.
    pub created: i64,
    /// When it was last written, 100 ns since 1970.
    pub updated: i64,
}
