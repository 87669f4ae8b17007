//! Where an event comes from: what a route names as its source.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The source of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub enum EventSource {
    /// Telemetry of devices and modules.
    DeviceMessages,
    /// Twins that were updated or replaced.
    TwinChangeEvents,
    /// Devices and modules that were created or deleted.
    DeviceLifecycleEvents,
    /// Devices and modules that connected or disconnected.
    DeviceConnectionStateEvents,
    /// Properties of Plug and Play devices that changed.
    DigitalTwinChangeEvents,
    /// Jobs of devices that went on.
    DeviceJobLifecycleEvents,
}

/// The text names no source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "DeviceMessages, TwinChangeEvents, DeviceLifecycleEvents or another event source was expected"
)]
pub struct NoEventSource;

impl EventSource {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 6] = [
        Self::DeviceMessages,
        Self::TwinChangeEvents,
        Self::DeviceLifecycleEvents,
        Self::DeviceConnectionStateEvents,
        Self::DigitalTwinChangeEvents,
        Self::DeviceJobLifecycleEvents,
    ];

    /// The `source` of a route.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::DeviceMessages => "DeviceMessages",
            Self::TwinChangeEvents => "TwinChangeEvents",
            Self::DeviceLifecycleEvents => "DeviceLifecycleEvents",
            Self::DeviceConnectionStateEvents => "DeviceConnectionStateEvents",
            Self::DigitalTwinChangeEvents => "DigitalTwinChangeEvents",
            Self::DeviceJobLifecycleEvents => "DeviceJobLifecycleEvents",
        }
    }

    /// The system property `iothub-message-source`.
    #[must_use]
    pub fn message_source(self) -> &'static str {
        match self {
            Self::DeviceMessages => "Telemetry",
            Self::TwinChangeEvents => "twinChangeEvents",
            Self::DeviceLifecycleEvents => "deviceLifecycleEvents",
            Self::DeviceConnectionStateEvents => "deviceConnectionStateEvents",
            Self::DigitalTwinChangeEvents => "digitalTwinChangeEvents",
            Self::DeviceJobLifecycleEvents => "deviceJobLifecycleEvents",
        }
    }
}

impl FromStr for EventSource {
    type Err = NoEventSource;

    /// The name in any letter case.
    fn from_str(text: &str) -> Result<Self, NoEventSource> {
        Self::ALL
            .into_iter()
            .find(|source| source.name().eq_ignore_ascii_case(text))
            .ok_or(NoEventSource)
    }
}

impl TryFrom<String> for EventSource {
    type Error = NoEventSource;

    fn try_from(text: String) -> Result<Self, NoEventSource> {
        text.parse()
    }
}

impl From<EventSource> for &'static str {
    fn from(source: EventSource) -> Self {
        source.name()
    }
}
