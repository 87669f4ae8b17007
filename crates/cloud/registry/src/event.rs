use std::ops::RangeInclusive;
use std::sync::Arc;

use events::EventLogError;
use ids::{DeviceId, HubName, Identity, ModuleId, Timestamp};
use wire::telemetry::{EventSource, SenderStamp};

/// A telemetry message on its way to the readers of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The hub that took it.
    pub hub: HubName,
    pub device: DeviceId,
    /// The module that sent it.
    pub module: Option<ModuleId>,
    /// When the hub took it.
    pub enqueued: Timestamp,
    pub source: EventSource,
    /// What the hub knows of who sent it; `None` for events of the hub itself.
    pub sender: Option<Arc<SenderStamp>>,
    /// System and application properties, names as on the wire, in the order sent.
    pub properties: Vec<(String, String)>,
    /// The message, uninterpreted; at most 256 KiB.
    pub body: Vec<u8>,
}

impl Event {
    /// The device or module that sent it, or that it is about.
    pub(crate) fn sender_identity(&self) -> Identity {
        Identity {
            hub: self.hub.clone(),
            device: self.device.clone(),
            module: self.module.clone(),
        }
    }

    /// With properties of the hub's, which replace those of the same name.
    pub(crate) fn enriched(mut self, enrichments: Vec<(String, String)>) -> Self {
        if !enrichments.is_empty() {
            let is_replaced = |name: &str| {
                let mut names = enrichments.iter().map(|(added, _)| added);
                names.any(|added| added.eq_ignore_ascii_case(name))
            };
            self.properties.retain(|(name, _)| !is_replaced(name));
            self.properties.extend(enrichments);
        }
        self
    }
}

/// An event and its place in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its number in the log of its hub: ascending, and never given to another.
    pub offset: u64,
    pub event: Event,
}

/// Some events of a hub.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventPage {
    pub events: Vec<StoredEvent>,
    /// Numbers among them whose events are damaged. After a power cut also numbers that were about
    /// to be given out.
    pub missing: Vec<RangeInclusive<u64>>,
    /// Numbers that are neither in the log any more nor missing from it: deleted by age or size.
    pub expired: u64,
    /// Ask for what comes after this number.
    pub next: u64,
}

/// How the log of a hub is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TelemetryState {
    pub hub: HubName,
    pub bytes: u64,
    /// When its oldest event was taken.
    pub oldest: Option<Timestamp>,
    /// Whether the last attempt to write failed.
    pub failing: bool,
}

/// Why an event was not kept, or none could be read.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// More than the log takes in one record.
    #[error("the event has {size} bytes with its properties; {max} are allowed")]
    TooLarge { size: usize, max: usize },
    /// The log of the hub failed.
    #[error("the data directory cannot be used")]
    Log(#[from] EventLogError),
}
