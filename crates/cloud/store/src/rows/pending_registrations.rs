use ids::{IdScope, RegistrationId};

use crate::{Secret, StoreError};

/// A registration that waits for somebody outside this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingRow {
    /// Row id, never given out twice; 0 before it is inserted.
    pub id: i64,
    pub id_scope: IdScope,
    /// In lower case.
    pub registration_id: RegistrationId,
    /// Counts the changes of the row.
    pub revision: i64,
    /// The webhook or hub that is asked.
    pub destination: String,
    /// When to go on, 100 ns since 1970.
    pub due: i64,
    /// JSON; may hold keys.
    pub document: Secret,
}

/// Pending registrations whose time has come.
#[derive(Debug, Default)]
pub struct PendingDue {
    pub rows: Vec<PendingRow>,
    /// Row ids of those that do not say whose they are, each with the reason.
    pub unreadable: Vec<(i64, StoreError)>,
}
