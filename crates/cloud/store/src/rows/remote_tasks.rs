use ids::{DeviceId, HubName};

/// What is still to be done to a device of a remote hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteTaskRow {
    /// Row id, never given out twice.
    pub id: i64,
    pub hub: HubName,
    pub device_id: DeviceId,
    pub kind: RemoteTaskKind,
    /// Counts the changes of the row.
    pub revision: i64,
    pub tries: u32,
    /// When to try, 100 ns since 1970.
    pub due: i64,
    /// Why the last try failed.
    pub problem: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemoteTaskKind {
    /// The device is another hub's now.
    Remove,
    /// An operator blocked it.
    Disable,
    /// An operator took the block back.
    Enable,
}

stored_names!(RemoteTaskKind {
    Remove => "remove",
    Disable => "disable",
    Enable => "enable",
});
