/// What a custom allocation was asked and answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllocationRow {
    /// Row id.
    pub id: i64,
    /// The registration id in lower case.
    pub folded: String,
    /// When, 100 ns since 1970.
    pub at: i64,
    /// JSON.
    pub document: String,
}
