/// A configuration of a hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigurationRow {
    /// Row id; 0 before it is inserted.
    pub id: i64,
    pub configuration_id: String,
    pub revision: i64,
    pub priority: u32,
    /// What its content is for.
    pub kind: String,
    pub target_condition: String,
    /// Whether the condition looks at reported properties.
    pub reads_reported: bool,
    /// JSON: content, labels, metric queries.
    pub document: String,
    /// When it was created, 100 ns since 1970.
    pub created: i64,
    /// When it was last written, 100 ns since 1970.
    pub updated: i64,
}
