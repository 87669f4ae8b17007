//! Telemetry messages of devices: checked, then appended to the event log. A message is
//! acknowledged after it is on disk.

use std::sync::Arc;
use std::time::Duration;

use ids::Identity;
use registry::{Event, EventError};
use tokio::time::Instant;
use transport::pace::TooFast;
use wire::device_api::message::{BagError, MAX_PROPERTIES, PropertyBag, is_stamped, system};
use wire::telemetry::{EventSource, MAX_MESSAGE, SenderStamp};

use crate::quantities::Throttled;
use crate::service::Hub;

/// Time from a failed append to the next attempt.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Debug, thiserror::Error)]
pub(crate) enum TelemetryError {
    #[error("the message has {size} bytes with its properties; {MAX_MESSAGE} are allowed")]
    TooLarge { size: usize },
    #[error("the message has {count} properties; {MAX_PROPERTIES} are allowed")]
    TooManyProperties { count: usize },
    #[error("the device sends more than it may; it may go on in {} s", wait.as_secs() + 1)]
    TooFast { wait: Duration },
    #[error(transparent)]
    Throttled(#[from] Throttled),
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
            Self::Throttled(_) => "throttled",
            Self::Bag(_) => "properties_malformed",
            Self::Event(_) => "not_stored",
        }
    }
}

/// Who sends, and what the hub stamps on the message because of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sender<'a> {
    pub(crate) identity: &'a Identity,
    pub(crate) stamp: &'a Arc<SenderStamp>,
}

/// A message before it is checked.
pub(crate) struct Message {
    /// Properties of the sender, named as in the bag of MQTT, without those that only
    /// the hub may set.
    sent: Vec<(String, String)>,
    /// Properties that the hub sets.
    marks: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Message {
    /// Properties that only the hub may set are dropped here: there is no other way
    /// to make a message.
    pub(crate) fn new(mut sent: Vec<(String, String)>, body: Vec<u8>) -> Self {
        sent.retain(|(name, _)| !is_stamped(name));
        Self {
            sent,
            marks: Vec::new(),
            body,
        }
    }

    /// Reads the bag of a topic. A property without a value gets an empty one.
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

    /// For a message with the RETAIN flag.
    pub(crate) fn mark_retained(&mut self) {
        self.mark(system::RETAIN, "true");
    }

    /// For a message that is a will.
    pub(crate) fn mark_will(&mut self) {
        self.mark(system::MESSAGE_TYPE, "Will");
    }
}

/// Appends a message; returns after it is on disk.
pub(crate) async fn append(
    hub: &Hub,
    sender: Sender<'_>,
    message: Message,
) -> Result<(), TelemetryError> {
    append_all(hub, sender, vec![message]).await
}

/// Appends messages together, in their order; returns after they are on disk.
pub(crate) async fn append_all(
    hub: &Hub,
    sender: Sender<'_>,
    messages: Vec<Message>,
) -> Result<(), TelemetryError> {
    let check = |message| check(hub, sender, message);
    let events: Vec<Event> = messages.into_iter().map(check).collect::<Result<_, _>>()?;
    hub.wait_for_sends(sender.identity, events.len()).await?;
    wait_for_pace(hub, sender, &events).await?;
    hub.registry().append_all_telemetry(&events).await?;
    Ok(())
}

/// Appends messages however long that takes. While the storage fails or the sender is too fast,
/// they are not acknowledged, and the connection stays open; [`TelemetryError::Throttled`] ends it.
/// Cancel-safe, except that a cancelled append may have kept them.
pub(crate) async fn append_with_retries(
    hub: &Hub,
    sender: Sender<'_>,
    events: &[Event],
) -> Result<(), TelemetryError> {
    hub.wait_for_sends(sender.identity, events.len()).await?;
    while let Err(TelemetryError::TooFast { wait }) = wait_for_pace(hub, sender, events).await {
        tokio::time::sleep(wait).await;
    }
    loop {
        match hub.registry().append_all_telemetry(events).await {
            Err(EventError::Log(_)) => tokio::time::sleep(RETRY_INTERVAL).await,
            Err(error) => return Err(error.into()),
            Ok(_) => return Ok(()),
        }
    }
}

/// Counts messages against the sender's rate, and waits until it allows them.
async fn wait_for_pace(
    hub: &Hub,
    sender: Sender<'_>,
    events: &[Event],
) -> Result<(), TelemetryError> {
    let bytes = |event: &Event| event.body.len() + size_of(&event.properties);
    let bytes = events.iter().map(bytes).sum();
    let wait = hub
        .pace_limiter()
        .wait(sender.identity, (bytes, events.len()), Instant::now())
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

/// Checks a message; what is left to do is to append it.
pub(crate) fn check(
    hub: &Hub,
    sender: Sender<'_>,
    message: Message,
) -> Result<Event, TelemetryError> {
    let count = message.sent.len();
    if count > MAX_PROPERTIES {
        return Err(TelemetryError::TooManyProperties { count });
    }
    let size = message.body.len() + size_of(&message.sent);
    if size > MAX_MESSAGE {
        return Err(TelemetryError::TooLarge { size });
    }
    let identity = sender.identity;
    Ok(Event {
        hub: identity.hub.clone(),
        device: identity.device.clone(),
        module: identity.module.clone(),
        enqueued: hub.now(),
        source: EventSource::DeviceMessages,
        sender: Some(sender.stamp.clone()),
        properties: [message.sent, message.marks].concat(),
        body: message.body,
    })
}
