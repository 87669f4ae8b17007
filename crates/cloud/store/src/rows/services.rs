use crate::Secret;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceRow {
    pub id_scope: String,
    /// The key of its operation ids, base64.
    pub operation_key: Secret,
    pub name: String,
    /// `host` or `host:port` of its service API; `None` for the server's own.
    pub host: Option<String>,
    /// The allocation policy of enrollments that name none.
    pub allocation_policy: String,
}
