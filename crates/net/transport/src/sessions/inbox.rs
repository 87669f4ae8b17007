//! What waits for one live session: pushes in their order, and the reason why it has to end. An
//! inbox takes memory only for what is in it: most sessions wait for nothing most of the time.

use std::collections::VecDeque;
use std::sync::{Mutex, OnceLock};

use tokio::sync::Notify;

use super::locked;
use super::mailbox::Push;
use crate::device_session::Close;

/// Messages that may wait for one session. A client that reads too slowly is disconnected, and
/// reads its twin when it connects again.
const MAX_WAITING: usize = 128;
/// An empty queue with room for more is given back.
const KEPT: usize = 4;

#[derive(Default)]
pub(super) struct Inbox {
    waiting: Mutex<VecDeque<Push>>,
    arrived: Notify,
    close: OnceLock<Close>,
    closing: Notify,
}

/// The inbox is full.
pub(super) struct Full;

impl Inbox {
    pub(super) fn push(&self, push: Push) -> Result<(), Full> {
        let mut waiting = locked(&self.waiting);
        if waiting.len() >= MAX_WAITING {
            return Err(Full);
        }
        waiting.push_back(push);
        drop(waiting);
        self.arrived.notify_one();
        Ok(())
    }

    /// The next push, for the one connection that reads. Cancel-safe: dropping the future loses
    /// no message.
    pub(super) async fn next(&self) -> Push {
        loop {
            if let Some(push) = self.pop() {
                return push;
            }
            // A push since the look has left a permit.
            self.arrived.notified().await;
        }
    }

    fn pop(&self) -> Option<Push> {
        let mut waiting = locked(&self.waiting);
        let push = waiting.pop_front();
        if waiting.is_empty() && waiting.capacity() > KEPT {
            *waiting = VecDeque::new();
        }
        push
    }

    /// Asks the session to end; the first reason counts.
    pub(super) fn close(&self, why: Close) {
        if self.close.set(why).is_ok() {
            self.closing.notify_waiters();
        }
    }

    /// Resolves with the reason when the session has to end.
    pub(super) async fn closed(&self) -> Close {
        loop {
            let closing = self.closing.notified();
            if let Some(close) = self.close.get() {
                return close.clone();
            }
            closing.await;
        }
    }
}
