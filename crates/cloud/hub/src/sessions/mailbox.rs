//! The two ends of one live session: the table's [`Entry`] and the session's own [`Mailbox`].

use std::collections::HashMap;
use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use ids::Identity;
use mqtt::Close;
use serde_json::{Map, Value};
use tokio::sync::{mpsc, oneshot, watch};

use super::{Sessions, locked};

/// Messages that may wait for one session. A client that does not take them is disconnected and reads its twin again.
const MAILBOX: usize = 128;
/// Method calls that one session may have unanswered.
const MAX_PENDING: usize = 64;

/// What the server pushes into a session.
#[derive(Debug)]
pub(crate) enum Push {
    /// Desired properties changed.
    Desired {
        patch: Map<String, Value>,
        version: u64,
    },
    /// A direct method is called.
    Method {
        rid: u64,
        name: String,
        payload: Bytes,
    },
}

/// A device's answer to a direct method.
#[derive(Debug)]
pub(crate) struct MethodAnswer {
    pub(crate) status: i32,
    pub(crate) payload: Bytes,
}

/// Why a method call could not be handed to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotDelivered {
    /// No session that listens for methods.
    Offline,
    /// Too many calls wait for answers of this session.
    Busy,
}

/// What the two ends share.
#[derive(Default)]
struct Shared {
    wants_desired: AtomicBool,
    wants_methods: AtomicBool,
    next_rid: AtomicU64,
    pending: Mutex<HashMap<u64, oneshot::Sender<MethodAnswer>>>,
}

/// The table's end.
pub(super) struct Entry {
    token: u64,
    mailbox: mpsc::Sender<Push>,
    closing: watch::Sender<Option<Close>>,
    shared: Arc<Shared>,
}

/// Both ends of a new session. `token` tells it from others of the same identity.
pub(super) fn pair(sessions: &Sessions, identity: Identity, token: u64) -> (Entry, Mailbox) {
    let (mailbox, pushes) = mpsc::channel(MAILBOX);
    let (closing, close_asked) = watch::channel(None);
    let shared = Arc::new(Shared::default());
    let entry = Entry {
        token,
        mailbox,
        closing,
        shared: shared.clone(),
    };
    (
        entry,
        Mailbox {
            sessions: sessions.clone(),
            identity,
            token,
            pushes,
            close_asked,
            shared,
        },
    )
}

impl Entry {
    pub(super) fn token(&self) -> u64 {
        self.token
    }

    /// Asks the session to end.
    pub(super) fn close(&self, close: Close) {
        self.closing.send_replace(Some(close));
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
        if self.mailbox.try_send(push).is_err() {
            let reason = "messages for this connection were not taken in time";
            self.close(Close::new("not_taken", reason));
        }
    }
}

/// A method call that waits for its answer; forgotten by the session when dropped.
pub(crate) struct PendingCall {
    rid: u64,
    shared: Arc<Shared>,
    receiver: oneshot::Receiver<MethodAnswer>,
}

impl PendingCall {
    /// The answer, or `None` when the session ended without one.
    pub(crate) async fn answer(&mut self) -> Option<MethodAnswer> {
        (&mut self.receiver).await.ok()
    }
}

impl Drop for PendingCall {
    fn drop(&mut self) {
        locked(&self.shared.pending).remove(&self.rid);
    }
}

/// The session's own end: what is pushed to it, and why it must end.
pub(crate) struct Mailbox {
    sessions: Sessions,
    identity: Identity,
    token: u64,
    pushes: mpsc::Receiver<Push>,
    close_asked: watch::Receiver<Option<Close>>,
    shared: Arc<Shared>,
}

impl Mailbox {
    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The next push. Cancel-safe: it only waits and takes whole messages.
    pub(crate) async fn next(&mut self) -> Push {
        match self.pushes.recv().await {
            Some(push) => push,
            // The table has dropped this session, which `closed` tells.
            None => pending().await,
        }
    }

    /// Resolves when the session has to end, and tells why.
    pub(crate) fn closed(&self) -> impl Future<Output = Close> + Send + 'static {
        let mut asked = self.close_asked.clone();
        async move {
            let replaced = || Close::new("taken_over", "the connection was replaced");
            let asked = asked.wait_for(Option::is_some).await;
            asked
                .ok()
                .and_then(|close| close.clone())
                .unwrap_or_else(replaced)
        }
    }

    /// Whether desired patches are pushed from now on.
    pub(crate) fn want_desired(&self, wanted: bool) {
        self.shared.wants_desired.store(wanted, Ordering::Release);
    }

    /// Whether method calls are accepted from now on.
    pub(crate) fn want_methods(&self, wanted: bool) {
        self.shared.wants_methods.store(wanted, Ordering::Release);
        if wanted {
            self.sessions.arrived();
        }
    }

    /// Hands the device's answer to whoever called; an unknown `rid` (too late, or never asked) is dropped.
    pub(crate) fn answered(&self, rid: &str, answer: MethodAnswer) {
        let Ok(rid) = rid.parse::<u64>() else { return };
        if let Some(caller) = locked(&self.shared.pending).remove(&rid) {
            // The caller may have given up in this moment.
            let _ = caller.send(answer);
        }
    }
}

/// Leaves the table, however the session ended; whoever waits for an answer hears that there is none.
impl Drop for Mailbox {
    fn drop(&mut self) {
        self.sessions.left(&self.identity, self.token);
        locked(&self.shared.pending).clear();
    }
}
