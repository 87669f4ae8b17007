use ids::{Identity, Timestamp};
use store::{Lock, LockHolder, MessageLockRow, QueuedMessageRow, StoreError, Tx, Unit, View};

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
    /// In the order of the queue, without those that are damaged.
    pub(super) rows: Vec<QueuedMessageRow>,
    pub(super) next: Option<Timestamp>,
}

/// The messages that a reader gets.
pub(super) struct Given {
    messages: Vec<(QueuedMessageRow, MessageContent)>,
    next: Option<Timestamp>,
}

impl ReceiveMessages {
    /// Looks for messages without giving them.
    pub(super) fn find(&self, view: &View<'_>) -> Result<Found, MessageError> {
        let reader = match self.lock.holder {
            LockHolder::Session => Reader::Session(&self.lock.token),
            LockHolder::Receiver => Reader::Receiver,
        };
        let queued = view.queued_messages((&self.of).into())?.into_iter();
        let queued: Vec<QueuedMessageRow> = queued
            .filter_map(|message| self.kept(message.id, message.row))
            .collect();
        let of_receivers = queued.iter().filter_map(|row| row.lock.as_ref());
        let of_receivers = of_receivers
            .filter(|lock| lock.holder == LockHolder::Receiver && lock.until > self.now);
        let next = of_receivers.map(|lock| lock.until).min();
        let is_free = |row: &QueuedMessageRow| is_deliverable(row, reader, self.now);
        Ok(Found {
            rows: queued.into_iter().filter(is_free).collect(),
            next: next.map(Timestamp::from_ticks),
        })
    }

    /// What was read of a message, or `None` after it was logged why not.
    fn kept<T>(&self, id: i64, read: Result<T, StoreError>) -> Option<T> {
        let log = |error: &StoreError| {
            tracing::error!(
                hub.name = %self.of.hub,
                device.id = %self.of.device,
                sequence_number = id,
                error = error as &dyn std::error::Error,
                "a cloud-to-device message is skipped: it is damaged; purge the queue"
            );
        };
        read.inspect_err(log).ok()
    }
}

impl Unit for ReceiveMessages {
    type Plan = Given;
    type Output = ClaimedMessages;
    type Error = MessageError;

    fn locks(&self) -> Vec<Lock<'_>> {
        vec![lock(&self.of)]
    }

    fn decide(&self, view: &View<'_>) -> Result<Given, MessageError> {
        let found = self.find(view)?;
        let mut messages = Vec::new();
        for row in found.rows {
            if messages.len() >= self.limit {
                break;
            }
            let content = content(view, row.id)?;
            messages.extend(self.kept(row.id, content).map(|content| (row, content)));
        }
        Ok(Given {
            messages,
            next: found.next,
        })
    }

    fn apply(&self, tx: &Tx<'_>, given: Given) -> Result<ClaimedMessages, StoreError> {
        let mut messages = Vec::with_capacity(given.messages.len());
        for (row, content) in given.messages {
            tx.lock_message((&self.of).into(), &row, &self.lock)?;
            messages.push(message(row, content));
        }
        Ok(ClaimedMessages {
            messages,
            next: given.next,
        })
    }
}

/// What a message brings.
pub(super) struct MessageContent {
    properties: Vec<(String, String)>,
    body: Vec<u8>,
}

/// Reads what a message brings; the inner error when it is damaged.
fn content(view: &View<'_>, id: i64) -> Result<Result<MessageContent, StoreError>, StoreError> {
    let Some(row) = view.message_content(id)? else {
        return Ok(Err(view.damaged("message", "its content is missing")));
    };
    Ok(row.and_then(|row| {
        let properties = serde_json::from_str(&row.properties);
        Ok(MessageContent {
            properties: view.decoded("message properties", properties)?,
            body: row.body,
        })
    }))
}

fn message(row: QueuedMessageRow, content: MessageContent) -> CloudMessage {
    let lock = row.lock.as_ref();
    CloudMessage {
        sequence_number: row.id,
        redelivered: lock.is_some_and(|lock| lock.holder == LockHolder::Session),
        message_id: row.message_id,
        ack: row.ack,
        enqueued: Timestamp::from_ticks(row.enqueued),
        expires: Timestamp::from_ticks(row.expires),
        deliveries: row.deliveries,
        properties: content.properties,
        body: content.body,
    }
}
