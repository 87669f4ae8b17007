use ids::{HubHost, IdScope, ServiceName};

use crate::Secret;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceRow {
    pub id_scope: IdScope,
    /// The key of its operation ids, base64.
    pub operation_key: Secret,
    pub name: ServiceName,
    /// Where its service API is reached; `None` for the server's own host.
    pub host: Option<HubHost>,
    /// The allocation policy of enrollments that name none, by its name in their documents.
    pub allocation_policy: String,
}
