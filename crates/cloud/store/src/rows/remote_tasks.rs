/// What is still to be done to a device of a remote hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteTaskRow {
    /// Row id; 0 before it is written.
    pub id: i64,
    /// The hub.
    pub hub: String,
    /// The device.
    pub device_id: String,
    /// `remove`, `disable` or `enable`.
    pub kind: String,
    /// Counts the changes of the row.
    pub revision: i64,
    /// Tries that failed.
    pub tries: u32,
    /// When to try, 100 ns since 1970.
    pub due: i64,
    /// Why the last try failed.
    pub problem: Option<String>,
}
