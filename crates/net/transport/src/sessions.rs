//! The live sessions: which device or module is connected, with a bounded mailbox to each.
//!
//! Services push into a session through [`Sessions`]; the connection that owns the session
//! reads from its [`Mailbox`]. Nothing here is needed after a crash: devices connect again
//! and read their twins.

mod inbox;
mod mailbox;
mod presence;
mod table;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use ids::{Clock, HubName, Identity};
use serde_json::{Map, Value};
use tokio::sync::watch;

use crate::device_session::Close;
use mailbox::SessionHandle;
use table::Table;

pub use mailbox::{CloseNotice, Mailbox, MethodAnswer, NotDelivered, PendingCall, Push};
pub use presence::{Presence, PresenceObserver};

/// All live sessions of a server. Clones share one table.
#[derive(Clone)]
pub struct Sessions {
    clock: Clock,
    table: Arc<Mutex<Table>>,
    /// Counts sessions that began to listen for methods.
    method_listeners: watch::Sender<u64>,
    observer: Arc<dyn PresenceObserver>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The tables are consistent between statements, so a panic of another thread
    // does not damage them.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sessions {
    /// No session yet. `observer` sees every change of a presence.
    #[must_use]
    pub fn new(clock: Clock, observer: Arc<dyn PresenceObserver>) -> Self {
        Self {
            clock,
            table: Arc::default(),
            method_listeners: watch::Sender::new(0),
            observer,
        }
    }

    /// Opens a session; an older one of the same identity is closed. `None`
    /// while the server drains.
    #[must_use]
    pub fn open(&self, identity: Identity) -> Option<Mailbox> {
        let now = (self.clock)();
        let mut table = locked(&self.table);
        let number = table.next_number()?;
        let (handle, mailbox) = mailbox::pair(self, identity.clone(), number);
        let presence = Presence {
            connected: true,
            updated: now,
            last_activity: now,
        };
        let older = table.insert(&identity, handle, presence);
        self.observer.changed(&identity, presence);
        if let Some(older) = older {
            older.close(Close::new(
                "taken_over",
                "another connection of this identity was opened (400027)",
            ));
        }
        Some(mailbox)
    }

    /// Removes session `number`; nothing happens when a newer one has replaced it.
    fn remove(&self, identity: &Identity, number: u64) {
        let now = (self.clock)();
        let mut table = locked(&self.table);
        if let Some(presence) = table.remove(identity, number, now) {
            self.observer.changed(identity, presence);
        }
    }

    /// What is known of an identity's connection.
    #[must_use]
    pub fn presence(&self, identity: &Identity) -> Presence {
        locked(&self.table).presence(identity)
    }

    /// Records that an identity made a request without a session.
    pub fn record_activity(&self, identity: &Identity) {
        let now = (self.clock)();
        let mut table = locked(&self.table);
        let presence = table.record_activity(identity, now);
        self.observer.changed(identity, presence);
    }

    /// The number of open sessions of a hub.
    #[must_use]
    pub fn connected(&self, hub: &HubName) -> u64 {
        locked(&self.table).connected(hub)
    }

    /// Hands a method call to the session of `identity`.
    pub fn call(
        &self,
        identity: &Identity,
        name: &str,
        payload: Bytes,
    ) -> Result<PendingCall, NotDelivered> {
        let table = locked(&self.table);
        let session = table.session(identity).ok_or(NotDelivered::Offline)?;
        session.call(name, payload)
    }

    /// Hands a patch of desired properties to the session of `identity`, if it listens for them.
    pub fn push_desired(&self, identity: &Identity, patch: &Map<String, Value>, version: u64) {
        if let Some(session) = locked(&self.table).session(identity) {
            session.push_desired(patch, version);
        }
    }

    /// Says to the session of `identity` that cloud-to-device messages wait, if it listens for them.
    pub fn announce_messages(&self, identity: &Identity) {
        if let Some(session) = locked(&self.table).session(identity) {
            session.announce_messages();
        }
    }

    /// Changes whenever a session begins to listen for methods.
    #[must_use]
    pub fn method_listeners(&self) -> watch::Receiver<u64> {
        self.method_listeners.subscribe()
    }

    fn listens_for_methods(&self) {
        self.method_listeners.send_modify(|count| *count += 1);
    }

    /// Closes every session and admits no new one.
    pub fn drain(&self, reason: &str) {
        locked(&self.table)
            .drain()
            .for_each(|session| session.close(Close::new("server_stopping", reason)));
    }

    /// Closes the session of an identity; those of a device's modules stay open.
    pub fn close(&self, identity: &Identity, why: Close) {
        if let Some(session) = locked(&self.table).session(identity) {
            session.close(why);
        }
    }

    /// Closes session `number` of an identity; a newer one stays open.
    pub fn close_numbered(&self, identity: &Identity, number: u64, why: Close) {
        let table = locked(&self.table);
        let session = table.session(identity);
        if let Some(session) = session.filter(|session| session.number() == number) {
            session.close(why);
        }
    }

    /// Closes the session of an identity, and with a device those of its modules.
    pub fn close_with_modules(&self, identity: &Identity, why: &Close) {
        locked(&self.table)
            .with_modules(identity)
            .for_each(|session| session.close(why.clone()));
    }

    /// Forgets the presence of a deleted identity, and with a device those of its modules.
    pub fn forget(&self, identity: &Identity) {
        locked(&self.table).forget(identity);
    }
}

#[cfg(test)]
mod tests;
