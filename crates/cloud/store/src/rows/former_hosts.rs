/// A host name that a hub of this directory had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormerHostRow {
    /// In lower case, without a port.
    pub host: String,
    /// Which hub had it; `None` when that hub is deleted.
    pub hub: Option<String>,
}
