use crate::Secret;

/// A registration that waits for somebody outside this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingRow {
    /// Row id, never given out twice; 0 before it is inserted.
    pub id: i64,
    pub id_scope: String,
    /// The registration id in lower case.
    pub folded: String,
    /// Counts the changes of the row.
    pub revision: i64,
    pub destination: String,
    /// When to go on, 100 ns since 1970.
    pub due: i64,
    /// JSON; may hold keys.
    pub document: Secret,
}
