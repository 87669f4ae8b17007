//! What a session does with the messages that its device sends.

use ids::error_chain;
use mqtt::Publish;
use registry::Event;
use transport::{Close, DeviceSession};
use wire::topic::DeviceTopic;

use super::HubSession;
use crate::messages::telemetry::{self, Message, TelemetryError};

impl HubSession {
    /// Reads a message that the device sends.
    pub(super) fn read_telemetry(&self, publish: &Publish) -> Result<Event, Close> {
        let bag = match self.topic(publish)? {
            DeviceTopic::Events { bag } => bag,
            _ => return Err(Close::new("topic", "messages cannot be sent to this topic")),
        };
        let read = || {
            let mut message = Message::from_bag(&bag, publish.payload.to_vec())?;
            if publish.retain {
                message.mark_retained();
            }
            telemetry::check(&self.hub, self.sender(), message)
        };
        read().map_err(|error| self.not_kept(&error))
    }

    pub(super) async fn append_telemetry(&self, events: &[Event]) -> Result<(), Close> {
        let appended = telemetry::append_with_retries(&self.hub, self.sender(), events);
        // Cancelled when the session ends: no client waits for the acknowledgement then.
        let appended = tokio::select! {
            biased;
            appended = appended => appended,
            close = self.closed() => return Err(close),
        };
        appended.map_err(|error| self.not_kept(&error))
    }

    fn not_kept(&self, error: &TelemetryError) -> Close {
        let reason = format!("telemetry of {}: {}", self.identity(), error_chain(error));
        Close::new(error.code(), reason)
    }
}
