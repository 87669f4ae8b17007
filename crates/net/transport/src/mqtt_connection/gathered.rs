//! Messages that have arrived together and are kept together: a client that sends many before it
//! waits costs one sync of the storage, not one for each.

use mqtt::{Delivery, PacketId, Publish, ServerSession};
use tokio::io::{AsyncRead, AsyncWrite};

use super::packet_stream::PacketStream;
use crate::device_session::{Close, DeviceSession, NotKept};

/// Most messages that are kept together.
const MAX_MESSAGES: usize = 64;
/// Bytes of messages after which no further one is waited for.
const MAX_BYTES: usize = 256 * 1024;

/// Messages that are not kept yet, in the order of their arrival.
#[derive(Default)]
pub struct Gathered {
    messages: Vec<Publish>,
    bytes: usize,
}

impl Gathered {
    pub fn push(&mut self, message: Publish) {
        self.bytes += message.topic.len() + message.payload.len();
        self.messages.push(message);
    }

    /// Whether a message has the packet id of one that is not kept yet.
    pub fn has_id_of(&self, message: &Publish) -> bool {
        let id = packet_id(message);
        id.is_some() && self.messages.iter().any(|other| packet_id(other) == id)
    }

    /// Whether there are messages, and room for more: full ones are kept at once.
    pub fn is_begun(&self) -> bool {
        !self.messages.is_empty() && !self.is_full()
    }

    pub fn is_full(&self) -> bool {
        self.messages.len() >= MAX_MESSAGES || self.bytes >= MAX_BYTES
    }

    /// Hands the messages to the service, and queues the acknowledgements of those that it keeps.
    pub async fn keep<S, D>(
        &mut self,
        packets: &mut PacketStream<S>,
        session: &mut ServerSession,
        device: &mut D,
    ) -> Result<(), Close>
    where
        S: AsyncRead + AsyncWrite + Unpin,
        D: DeviceSession,
    {
        if self.messages.is_empty() {
            return Ok(());
        }
        let messages = std::mem::take(self).messages;
        let ids: Vec<Option<PacketId>> = messages.iter().map(packet_id).collect();
        let kept = device.keep(messages).await;
        let count = match &kept {
            Ok(()) => ids.len(),
            Err(NotKept { before, .. }) => *before,
        };
        for id in ids.into_iter().take(count).flatten() {
            packets.queue(&session.acknowledge(id))?;
        }
        kept.map_err(|not_kept| not_kept.close)
    }
}

fn packet_id(message: &Publish) -> Option<PacketId> {
    match message.delivery {
        Delivery::AtMostOnce => None,
        Delivery::AtLeastOnce { id, .. } => Some(id),
    }
}
