use ids::{HubHost, HubName};

/// A host name that a hub of this directory had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormerHostRow {
    /// Stored in lower case, without a port.
    pub host: HubHost,
    /// Which hub had it; `None` when that hub is deleted.
    pub hub: Option<HubName>,
}
