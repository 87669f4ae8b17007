//! Messages from devices: checked, then durably appended to the event log. An acknowledgement is only sent after that.

use std::time::Duration;

use ids::Identity;
use registry::{Event, EventError};
use tokio::time::Instant;
use wire::device_api::message::{BagError, MAX_PROPERTIES, PropertyBag, is_stamped, system};
use wire::telemetry::MAX_MESSAGE;

use crate::Hub;
use transport::pace::TooFast;

/// A storage that failed is asked again after this time.
const RETRY: Duration = Duration::from_secs(1);

/// Why a message was not kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TelemetryError {
    #[error("the message has {size} bytes with its properties; {MAX_MESSAGE} are allowed")]
    TooLarge { size: usize },
    #[error("the message has {count} properties; {MAX_PROPERTIES} are allowed")]
    TooManyProperties { count: usize },
    #[error("the device sends more than it may; it may go on in {} s", wait.as_secs() + 1)]
    TooFast { wait: Duration },
    #[error("the properties of the message cannot be read")]
    Bag(#[from] BagError),
    #[error(transparent)]
    Event(#[from] EventError),
}

impl TelemetryError {
    /// A stable name of the cause, for logs and programs.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "message_too_large",
            Self::TooManyProperties { .. } => "properties_too_many",
            Self::TooFast { .. } => "too_fast",
            Self::Bag(_) => "properties_malformed",
            Self::Event(_) => "not_stored",
        }
    }
}

/// One message as a door hands it over.
pub(crate) struct Message {
    /// What the sender set, named as in the bag of MQTT, without what only the hub may set.
    sent: Vec<(String, String)>,
    /// What the hub says of the message.
    marks: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Message {
    /// A message with the properties that its sender set, however they came. Those that only the hub may set are dropped here:
    /// there is no other way to make a message.
    pub(crate) fn new(mut sent: Vec<(String, String)>, body: Vec<u8>) -> Self {
        sent.retain(|(name, _)| !is_stamped(name));
        Self {
            sent,
            marks: Vec::new(),
            body,
        }
    }

    /// From a topic's bag. A property without value becomes one with an empty value.
    pub(crate) fn from_bag(bag: &str, body: Vec<u8>) -> Result<Self, TelemetryError> {
        let bag = PropertyBag::decode(bag)?;
        let owned = |(name, value): (&str, Option<&str>)| {
            (name.to_owned(), value.unwrap_or_default().to_owned())
        };
        Ok(Self::new(bag.iter().map(owned).collect(), body))
    }

    fn mark(&mut self, name: &str, value: &str) {
        self.marks.push((name.to_owned(), value.to_owned()));
    }

    /// Marks a message that was to be retained.
    pub(crate) fn mark_retained(&mut self) {
        self.mark(system::RETAIN, "true");
    }

    /// Marks a message that came as a will.
    pub(crate) fn mark_will(&mut self) {
        self.mark(system::MESSAGE_TYPE, "Will");
    }
}

/// Keeps a message; returns after it is on disk.
pub(crate) async fn accept(
    hub: &Hub,
    sender: &Identity,
    message: Message,
) -> Result<(), TelemetryError> {
    accept_all(hub, sender, vec![message]).await
}

/// Keeps messages in their order, together; returns after they are on disk.
pub(crate) async fn accept_all(
    hub: &Hub,
    sender: &Identity,
    messages: Vec<Message>,
) -> Result<(), TelemetryError> {
    let checked = |message| checked(hub, sender, message);
    let events: Vec<Event> = messages
        .into_iter()
        .map(checked)
        .collect::<Result<_, _>>()?;
    wait_for_turn(hub, sender, &events).await?;
    hub.registry().append_all_telemetry(&events).await?;
    Ok(())
}

/// Keeps a message however long that takes: as long as the storage fails, or the sender is too fast, it is not acknowledged, and
/// neither it nor the connection is given up. Cancel-safe, but for what an append may have kept by then.
pub(crate) async fn accept_in_time(
    hub: &Hub,
    sender: &Identity,
    message: Message,
) -> Result<(), TelemetryError> {
    let event = checked(hub, sender, message)?;
    while let Err(TelemetryError::TooFast { wait }) =
        wait_for_turn(hub, sender, std::slice::from_ref(&event)).await
    {
        tokio::time::sleep(wait).await;
    }
    loop {
        match hub.registry().append_telemetry(&event).await {
            Err(EventError::Log(_)) => tokio::time::sleep(RETRY).await,
            Err(error) => return Err(error.into()),
            Ok(_) => return Ok(()),
        }
    }
}

/// Counts what is sent, and waits until it is the sender's turn.
async fn wait_for_turn(
    hub: &Hub,
    sender: &Identity,
    events: &[Event],
) -> Result<(), TelemetryError> {
    let bytes = |event: &Event| event.body.len() + size_of(&event.properties);
    let bytes = events.iter().map(bytes).sum();
    let wait = hub
        .paces()
        .wait(sender, (bytes, events.len()), Instant::now())
        .map_err(|TooFast(wait)| TelemetryError::TooFast { wait })?;
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
    Ok(())
}

fn size_of(properties: &[(String, String)]) -> usize {
    properties
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum()
}

fn checked(hub: &Hub, sender: &Identity, message: Message) -> Result<Event, TelemetryError> {
    let count = message.sent.len();
    if count > MAX_PROPERTIES {
        return Err(TelemetryError::TooManyProperties { count });
    }
    let size = message.body.len() + size_of(&message.sent);
    if size > MAX_MESSAGE {
        return Err(TelemetryError::TooLarge { size });
    }
    Ok(Event {
        hub: sender.hub.clone(),
        device: sender.device.clone(),
        module: sender.module.clone(),
        enqueued: hub.now(),
        properties: [message.sent, message.marks].concat(),
        body: message.body,
    })
}
