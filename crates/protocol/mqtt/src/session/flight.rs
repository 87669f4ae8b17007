use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use crate::{Delivery, Millis, PacketId, ProtocolError, Publish};

/// Too many messages of ours wait for the peer's acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{limit} messages already wait for the peer's acknowledgement")]
pub struct WindowFull {
    /// The number of messages that may wait.
    pub limit: usize,
}

/// Packets of ours that wait for an answer, by id, and since when.
#[derive(Debug)]
pub(super) struct Outbox {
    limit: usize,
    last: PacketId,
    open: HashMap<PacketId, Millis>,
}

impl Outbox {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            // Below the number of ids, so that a free one is always found.
            limit: limit.min(usize::from(u16::MAX) - 1),
            last: PacketId::MAX,
            open: HashMap::new(),
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.open.len() >= self.limit
    }

    /// Takes an id that nothing in flight has.
    pub(super) fn open(&mut self, now: Millis) -> Result<PacketId, WindowFull> {
        if self.is_full() {
            return Err(WindowFull { limit: self.limit });
        }
        loop {
            self.last = self.last.checked_add(1).unwrap_or(PacketId::MIN);
            if let Entry::Vacant(free) = self.open.entry(self.last) {
                free.insert(now);
                return Ok(self.last);
            }
        }
    }

    /// Frees an id; whether it was in flight.
    pub(super) fn close(&mut self, id: PacketId) -> bool {
        self.open.remove(&id).is_some()
    }

    /// Since when the one that waits longest has waited.
    pub(super) fn waiting_since(&self) -> Option<Millis> {
        self.open.values().min().copied()
    }
}

/// The peer's messages that we have not acknowledged yet, by id.
#[derive(Debug)]
pub(super) struct Inbox {
    limit: usize,
    open: HashSet<PacketId>,
}

/// Whether a message is to be handled.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Receipt {
    New,
    /// The same message is being handled already; its acknowledgement will answer both.
    Repeated,
}

impl Inbox {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            open: HashSet::new(),
        }
    }

    pub(super) fn receive(&mut self, publish: &Publish) -> Result<Receipt, ProtocolError> {
        let Delivery::AtLeastOnce { id, .. } = publish.delivery else {
            return Ok(Receipt::New);
        };
        if self.open.contains(&id) {
            return Ok(Receipt::Repeated);
        }
        if self.open.len() >= self.limit {
            return Err(ProtocolError::TooManyIncoming(self.limit));
        }
        self.open.insert(id);
        Ok(Receipt::New)
    }

    pub(super) fn acknowledge(&mut self, id: PacketId) {
        self.open.remove(&id);
    }
}
