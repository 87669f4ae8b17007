use ids::{Identity, Timestamp};
use store::{
    Lock, LockHolder, MessageContentRow, MessageLockRow, QueuedMessageRow, StoreError, Tx, Unit,
    View,
};

use crate::cloud_message::{ClaimedMessages, CloudMessage, MessageError, Reader, is_deliverable};
use crate::rows::lock;

/// Gives messages to a reader.
pub(super) struct ReceiveMessages {
    pub(super) of: Identity,
    pub(super) lock: MessageLockRow,
    /// At most so many.
    pub(super) limit: usize,
    /// 100 ns since 1970.
    pub(super) now: i64,
}

/// The messages that a reader may have.
pub(super) struct Found {
    pub(super) rows: Vec<QueuedMessageRow>,
    pub(super) next: Option<Timestamp>,
}

impl ReceiveMessages {
    /// Looks for messages without giving them.
    pub(super) fn find(&self, view: &View<'_>) -> Result<Found, MessageError> {
        let reader = match self.lock.holder {
            LockHolder::Session => Reader::Session(&self.lock.token),
            LockHolder::Receiver => Reader::Receiver,
        };
        let queued = view.queued_messages((&self.of).into())?;
        let of_receivers = queued.iter().filter_map(|row| row.lock.as_ref());
        let of_receivers = of_receivers
            .filter(|lock| lock.holder == LockHolder::Receiver && lock.until > self.now);
        let next = of_receivers.map(|lock| lock.until).min();
        let is_free = |row: &QueuedMessageRow| is_deliverable(row, reader, self.now);
        Ok(Found {
            rows: queued
                .into_iter()
                .filter(is_free)
                .take(self.limit)
                .collect(),
            next: next.map(Timestamp::from_ticks),
        })
    }
}

impl Unit for ReceiveMessages {
    type Plan = Found;
    type Output = ClaimedMessages;
    type Error = MessageError;

    fn locks(&self) -> Vec<Lock<'_>> {
        vec![lock(&self.of)]
    }

    fn decide(&self, view: &View<'_>) -> Result<Found, MessageError> {
        self.find(view)
    }

    fn apply(&self, tx: &Tx<'_>, found: Found) -> Result<ClaimedMessages, StoreError> {
        let mut messages = Vec::with_capacity(found.rows.len());
        for row in found.rows {
            tx.lock_message((&self.of).into(), &row, &self.lock)?;
            let content = tx.message_content(row.id)?;
            let missing = || tx.damaged("message", "its content is missing");
            messages.push(message(tx, row, content.ok_or_else(missing)?)?);
        }
        Ok(ClaimedMessages {
            messages,
            next: found.next,
        })
    }
}

fn message(
    view: &View<'_>,
    row: QueuedMessageRow,
    content: MessageContentRow,
) -> Result<CloudMessage, StoreError> {
    let properties = serde_json::from_str(&content.properties);
    let lock = row.lock.as_ref();
    Ok(CloudMessage {
        sequence_number: row.id,
        message_id: row.message_id,
        ack: row.ack,
        enqueued: Timestamp::from_ticks(row.enqueued),
        expires: Timestamp::from_ticks(row.expires),
        deliveries: row.deliveries,
        redelivered: lock.is_some_and(|lock| lock.holder == LockHolder::Session),
        properties: view.decoded("message properties", properties)?,
        body: content.body,
    })
}
