use ids::{DeviceId, HubName, ModuleId, Timestamp};

use crate::StorageError;

/// A telemetry message on its way to whoever reads events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The hub that took it.
    pub hub: HubName,
    /// Who sent it.
    pub device: DeviceId,
    /// The module that sent it.
    pub module: Option<ModuleId>,
    /// When the hub took it.
    pub enqueued: Timestamp,
    /// System and application properties, names as on the wire, in the order sent.
    pub properties: Vec<(String, String)>,
    /// The message, uninterpreted; at most 256 KiB.
    pub body: Vec<u8>,
}

/// An event and its place in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its place: 1, 2, 3, … over all hubs of the data directory.
    pub offset: u64,
    /// The event.
    pub event: Event,
}

/// Why an event was not kept, or none could be read.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// More than the log takes in one record.
    #[error("the event has {size} bytes with its properties; {max} are allowed")]
    TooLarge {
        /// What it has.
        size: usize,
        /// What is allowed.
        max: usize,
    },
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}
