use ids::{Ack, DeviceId, GenerationId, HubName, ModuleId};

use crate::StoreError;

/// A cloud-to-device message to be queued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessageRow {
    pub message_id: String,
    pub ack: Ack,
    /// JSON array of `[name, value]`.
    pub properties: String,
    pub body: Vec<u8>,
    /// 100 ns since 1970.
    pub enqueued: i64,
    /// 100 ns since 1970.
    pub expires: i64,
}

/// A queued message without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedMessageRow {
    /// Row id, never given out twice; the order of the queue.
    pub id: i64,
    /// Counts the changes of the row.
    pub revision: i64,
    pub message_id: String,
    pub ack: Ack,
    /// 100 ns since 1970.
    pub enqueued: i64,
    /// 100 ns since 1970.
    pub expires: i64,
    /// How often a receiver abandoned it.
    pub deliveries: u32,
    pub lock: Option<MessageLockRow>,
}

/// A row of a queue. One that cannot be read keeps its place, so that the others go on and it can
/// be deleted.
#[derive(Debug)]
pub struct ListedMessage {
    pub id: i64,
    pub revision: i64,
    pub row: Result<QueuedMessageRow, StoreError>,
}

/// A message whose time has run out.
#[derive(Debug)]
pub struct ExpiredMessage {
    pub owner: Result<QueueOwnerRow, StoreError>,
    pub message: ListedMessage,
}

/// Who has a message, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageLockRow {
    pub holder: LockHolder,
    /// Of a receiver: the lock token. Of an MQTT session: one value for all its messages.
    pub token: String,
    /// 100 ns since 1970.
    pub until: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockHolder {
    /// An MQTT session, which settles a message with PUBACK.
    Session,
    /// A request over HTTPS, which settles a message by its lock token.
    Receiver,
}

impl LockHolder {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Receiver => "receiver",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        let mut all = [Self::Session, Self::Receiver].into_iter();
        all.find(|holder| holder.name() == name)
    }
}

/// What a message brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageContentRow {
    /// JSON array of `[name, value]`.
    pub properties: String,
    pub body: Vec<u8>,
}

/// Whose queue a message is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueOwnerRow {
    pub hub: HubName,
    pub device_id: DeviceId,
    pub module_id: Option<ModuleId>,
    pub generation_id: GenerationId,
}
