/// What a custom allocation was asked and answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllocationRow {
    pub id: i64,
    /// The registration id in lower case.
    pub folded: String,
    /// When, 100 ns since 1970.
    pub at: i64,
    pub document: String,
}
