//! The two ends of one live session: the table's [`SessionHandle`]
//! and the connection's [`Mailbox`].

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use ids::Identity;
use serde_json::{Map, Value};
use tokio::sync::oneshot;

use super::inbox::{Full, Inbox};
use super::{Sessions, locked};
use crate::device_session::Close;

/// Method calls that one session may have unanswered.
const MAX_PENDING: usize = 64;

/// What the server pushes into a session.
#[derive(Debug)]
pub enum Push {
    /// The desired properties have changed.
    Desired {
        /// What changed, as a merge patch.
        patch: Map<String, Value>,
        /// The version of the desired properties after the patch.
        version: u64,
    },
    /// Cloud-to-device messages wait in the queue.
    MessagesWaiting,
    /// A direct method is called.
    Method {
        /// Names the call in the device's answer.
        rid: u64,
        /// The name of the method.
        name: String,
        /// JSON of the caller; empty when it gave none.
        payload: Bytes,
    },
}

/// A device's answer to a direct method.
#[derive(Debug)]
pub struct MethodAnswer {
    /// The status that the device chose.
    pub status: i32,
    /// JSON of the device, not checked.
    pub payload: Bytes,
}

/// Why a method call could not be handed to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotDelivered {
    /// There is no session that listens for methods.
    Offline,
    /// Too many calls of this session are unanswered.
    Busy,
}

/// State that both ends read and write.
#[derive(Default)]
struct Shared {
    inbox: Inbox,
    wants_desired: AtomicBool,
    wants_methods: AtomicBool,
    wants_messages: AtomicBool,
    /// Whether [`Push::MessagesWaiting`] is in the mailbox: one says as much as several.
    messages_announced: AtomicBool,
    next_rid: AtomicU64,
    pending: Mutex<HashMap<u64, oneshot::Sender<MethodAnswer>>>,
}

/// The table's end of a session.
pub(super) struct SessionHandle {
    number: u64,
    shared: Arc<Shared>,
}

/// Both ends of a new session. `number` distinguishes it from other sessions of the same identity.
pub(super) fn pair(
    sessions: &Sessions,
    identity: Identity,
    number: u64,
) -> (SessionHandle, Mailbox) {
    let shared = Arc::new(Shared::default());
    let handle = SessionHandle {
        number,
        shared: shared.clone(),
    };
    let mailbox = Mailbox {
        sessions: sessions.clone(),
        identity,
        number,
        shared,
    };
    (handle, mailbox)
}

impl SessionHandle {
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Asks the session to end.
    pub(super) fn close(&self, close: Close) {
        self.shared.inbox.close(close);
    }

    /// Hands over a desired patch, if the session listens.
    pub(super) fn push_desired(&self, patch: &Map<String, Value>, version: u64) {
        if self.shared.wants_desired.load(Ordering::Acquire) {
            self.push(Push::Desired {
                patch: patch.clone(),
                version,
            });
        }
    }

    /// Says that messages wait in the queue, if the session listens.
    pub(super) fn announce_messages(&self) {
        let wanted = self.shared.wants_messages.load(Ordering::Acquire);
        if wanted && !self.shared.messages_announced.swap(true, Ordering::AcqRel) {
            self.push(Push::MessagesWaiting);
        }
    }

    /// Hands over a method call, if the session listens.
    pub(super) fn call(&self, name: &str, payload: Bytes) -> Result<PendingCall, NotDelivered> {
        if !self.shared.wants_methods.load(Ordering::Acquire) {
            return Err(NotDelivered::Offline);
        }
        let (answer, receiver) = oneshot::channel();
        let rid = self.shared.next_rid.fetch_add(1, Ordering::Relaxed) + 1;
        let mut pending = locked(&self.shared.pending);
        if pending.len() >= MAX_PENDING {
            return Err(NotDelivered::Busy);
        }
        pending.insert(rid, answer);
        drop(pending);
        self.push(Push::Method {
            rid,
            name: name.to_owned(),
            payload,
        });
        Ok(PendingCall {
            rid,
            receiver,
            shared: self.shared.clone(),
        })
    }

    fn push(&self, push: Push) {
        if let Err(Full) = self.shared.inbox.push(push) {
            let reason = "messages for this connection were not taken in time";
            self.close(Close::new("not_taken", reason));
        }
    }
}

/// A session that is in the table no more has to end.
impl Drop for SessionHandle {
    fn drop(&mut self) {
        self.close(Close::new("taken_over", "the connection was replaced"));
    }
}

/// A method call that waits for its answer. When it is dropped the session ignores the answer.
pub struct PendingCall {
    rid: u64,
    shared: Arc<Shared>,
    receiver: oneshot::Receiver<MethodAnswer>,
}

impl PendingCall {
    /// The answer, or `None` when the session ended without one.
    pub async fn answer(&mut self) -> Option<MethodAnswer> {
        (&mut self.receiver).await.ok()
    }
}

impl Drop for PendingCall {
    fn drop(&mut self) {
        locked(&self.shared.pending).remove(&self.rid);
    }
}

/// The connection's end of a session. Dropping it removes the session from the table.
pub struct Mailbox {
    sessions: Sessions,
    identity: Identity,
    number: u64,
    shared: Arc<Shared>,
}

/// Tells a session that it has to end.
pub struct CloseNotice(Arc<Shared>);

impl CloseNotice {
    /// Resolves with the reason when the session has to end. Cancel-safe.
    pub async fn closed(&self) -> Close {
        self.0.inbox.closed().await
    }
}

impl Mailbox {
    /// The device or module that is connected.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Larger than that of each session that was opened earlier.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The next push. Cancel-safe: dropping the future loses no message.
    pub async fn next(&mut self) -> Push {
        let push = self.shared.inbox.next().await;
        if matches!(push, Push::MessagesWaiting) {
            let announced = &self.shared.messages_announced;
            announced.store(false, Ordering::Release);
        }
        push
    }

    /// Tells why the session has to end, also while the mailbox is in use.
    #[must_use]
    pub fn close_notice(&self) -> CloseNotice {
        CloseNotice(self.shared.clone())
    }

    /// Whether desired patches are pushed from now on.
    pub fn want_desired(&self, wanted: bool) {
        self.shared.wants_desired.store(wanted, Ordering::Release);
    }

    /// Whether waiting messages are announced from now on.
    pub fn want_messages(&self, wanted: bool) {
        self.shared.wants_messages.store(wanted, Ordering::Release);
    }

    /// Whether method calls are accepted from now on.
    pub fn want_methods(&self, wanted: bool) {
        self.shared.wants_methods.store(wanted, Ordering::Release);
        if wanted {
            self.sessions.listens_for_methods();
        }
    }

    /// Hands the device's answer to the caller. One with an unknown `rid` is dropped: it is late,
    /// or was not asked for.
    pub fn answer_call(&self, rid: &str, answer: MethodAnswer) {
        let Ok(rid) = rid.parse::<u64>() else { return };
        if let Some(caller) = locked(&self.shared.pending).remove(&rid) {
            // The caller may have given up in this moment.
            let _ = caller.send(answer);
        }
    }
}

/// Removes the session and ends the calls that wait for its answers.
impl Drop for Mailbox {
    fn drop(&mut self) {
        self.sessions.remove(&self.identity, self.number);
        locked(&self.shared.pending).clear();
    }
}
