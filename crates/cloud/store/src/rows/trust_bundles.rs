use ids::{Etag, TrustBundleId};

/// A trust bundle that enrollments name for their devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustBundleRow {
    /// Row id; 0 before it is inserted.
    pub id: i64,
    pub trust_bundle_id: TrustBundleId,
    /// JSON.
    pub document: String,
    pub etag: Etag,
    /// 100 ns since 1970.
    pub created: i64,
    /// When it was last written, 100 ns since 1970.
    pub updated: i64,
}
