use std::sync::Arc;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationRow {
    /// Row id; 0 before it is inserted.
    pub id: i64,
    /// The registration id in lower case.
    pub folded: String,
    /// The registration id as first spelled.
    pub spelled: String,
    /// The group as spelled; `None` for an individual enrollment.
    pub group_id: Option<String>,
    /// `assigned` or `failed`.
    pub status: String,
    pub substatus: Option<String>,
    /// The hub assigned, also while a later attempt has failed.
    pub hub: Option<String>,
    /// The hub device assigned.
    pub device_id: Option<String>,
    pub error_code: Option<u32>,
    pub error_message: Option<String>,
    pub etag: String,
    /// JSON: what a custom allocation returned.
    pub payload: Option<String>,
    /// JSON: how the device proved itself.
    pub detail: Option<Arc<str>>,
    /// First attempt, 100 ns since 1970.
    pub created: i64,
    /// Last attempt, 100 ns since 1970.
    pub updated: i64,
}
