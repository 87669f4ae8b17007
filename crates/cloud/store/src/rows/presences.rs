/// What is shown of the connections of a device or module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresenceRow {
    /// When it connected or disconnected last, 100 ns since 1970.
    pub changed: i64,
    /// When it was heard of last, 100 ns since 1970.
    pub active: i64,
    /// The Plug and Play model that it announced.
    pub model_id: Option<String>,
}
