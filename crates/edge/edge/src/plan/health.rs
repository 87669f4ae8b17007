//! The state of a module, as reports give it.

use wire::edge_api::manifest::RuntimeStatus;

/// The status of a module, with a description for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleHealth {
    pub status: RuntimeStatus,
    pub description: String,
}

impl ModuleHealth {
    pub(crate) fn new(status: RuntimeStatus, description: impl Into<String>) -> Self {
        Self {
            status,
            description: description.into(),
        }
    }
}
