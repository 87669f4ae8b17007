use ids::RegistrationId;

/// What a custom allocation was asked and answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllocationRow {
    /// Row id; 0 before it is inserted.
    pub id: i64,
    /// In lower case.
    pub registration_id: RegistrationId,
    /// When, 100 ns since 1970.
    pub at: i64,
    /// JSON.
    pub document: String,
}
