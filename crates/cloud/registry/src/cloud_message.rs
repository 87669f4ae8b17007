//! Cloud-to-device messages: what may be sent, and the states that a queued message passes.

mod draft;
mod queue;

use std::time::Duration;

use ids::{Ack, Etag, Identity, Timestamp};
use wire::cloud_message::MAX_MESSAGE;

use crate::StorageError;

pub(crate) use draft::CheckedDraft;
pub use draft::MessageDraft;
pub use queue::Settlement;
pub(crate) use queue::{Holder, Next, Reader, after_settlement, is_deliverable, is_held};

/// Messages that may wait for one device or module, those that it has included.
pub const MAX_QUEUED: usize = 50;
/// How long a message lives whose sender says nothing.
pub const DEFAULT_TTL: Duration = Duration::from_secs(3600);
/// The longest life of a message.
pub const MAX_TTL: Duration = Duration::from_secs(2 * 24 * 3600);
/// How long a receiver has a message to itself.
pub const LOCK: Duration = Duration::from_secs(60);
/// How often a message may be abandoned.
pub const MAX_DELIVERIES: u32 = 10;

/// A message that a device or module gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudMessage {
    /// Its place in the order of the hub.
    pub sequence_number: i64,
    pub message_id: String,
    pub ack: Ack,
    pub enqueued: Timestamp,
    pub expires: Timestamp,
    /// How often a receiver abandoned it.
    pub deliveries: u32,
    /// Whether a session that has ended may have sent it before.
    pub redelivered: bool,
    pub properties: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// A message for a receiver over HTTPS, which settles it by the lock token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedMessage {
    pub message: CloudMessage,
    pub lock_token: Etag,
}

/// The messages that an MQTT session is to send.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClaimedMessages {
    /// In the order of the queue.
    pub messages: Vec<CloudMessage>,
    /// When a message that another receiver has is free again.
    pub next: Option<Timestamp>,
}

/// Why a message was not sent, read, completed or purged.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    #[error("{0} does not exist")]
    NotFound(Identity),
    #[error(
        "{MAX_QUEUED} messages wait for {0} already; it has to receive some of them, or purge its \
         queue"
    )]
    QueueFull(Identity),
    #[error("the message has {size} bytes with its properties; {MAX_MESSAGE} are allowed")]
    TooLarge { size: usize },
    #[error("the properties of the message do not fit into the topic of an MQTT message")]
    PropertiesTooLong,
    #[error("the message expired at {0}, which has passed")]
    Expired(Timestamp),
    #[error("the message would expire at {0}, which is more than two days from now")]
    ExpiresTooLate(Timestamp),
    /// It was completed or rejected, or its time ran out.
    #[error("there is no message with this lock token; its lock may have expired")]
    LockLost,
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<store::StoreError> for MessageError {
    fn from(error: store::StoreError) -> Self {
        Self::Storage(error.into())
    }
}
