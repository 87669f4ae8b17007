//! The states of a queued message. It is free, or somebody has it; it ends completed, rejected,
//! expired, abandoned too often, or purged.

use store::{LockHolder, QueuedMessageRow};
use wire::cloud_message::FeedbackStatus;

use super::MAX_DELIVERIES;

/// Somebody who asks for a message.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reader<'t> {
    /// An MQTT session. Of a device there is one at a time, so that what another session has is
    /// what an ended session left.
    Session(&'t str),
    /// A request over HTTPS.
    Receiver,
}

/// Somebody who says that it has a message.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Holder<'t> {
    Session(&'t str),
    Receiver(&'t str),
}

/// What a receiver says of a message that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    Complete,
    Reject,
    Abandon,
}

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    Ended(FeedbackStatus),
    /// It keeps its place in the queue.
    Requeued {
        deliveries: u32,
    },
}

/// Whether a message may be given to a reader. A lock that has expired does not count, and
/// is no delivery.
pub(crate) fn is_deliverable(row: &QueuedMessageRow, reader: Reader<'_>, now: i64) -> bool {
    let free = match (&row.lock, reader) {
        (None, _) => true,
        (Some(lock), Reader::Session(me)) if lock.holder == LockHolder::Session => lock.token != me,
        (Some(lock), _) => lock.until <= now,
    };
    free && row.expires > now
}

/// Whether a holder still has a message. A session does until somebody else got it: its PUBACK may
/// take longer than a lock lasts.
pub(crate) fn is_held(row: &QueuedMessageRow, by: Holder<'_>, now: i64) -> bool {
    let Some(lock) = &row.lock else { return false };
    match by {
        Holder::Session(me) => lock.holder == LockHolder::Session && lock.token == me,
        Holder::Receiver(token) => {
            lock.holder == LockHolder::Receiver && lock.token == token && lock.until > now
        }
    }
}

pub(crate) fn after_settlement(row: &QueuedMessageRow, settlement: Settlement) -> Next {
    match settlement {
        Settlement::Complete => Next::Ended(FeedbackStatus::Success),
        Settlement::Reject => Next::Ended(FeedbackStatus::Rejected),
        Settlement::Abandon if row.deliveries + 1 >= MAX_DELIVERIES => {
            Next::Ended(FeedbackStatus::DeliveryCountExceeded)
        }
        Settlement::Abandon => Next::Requeued {
            deliveries: row.deliveries + 1,
        },
    }
}
