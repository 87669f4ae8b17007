//! The live sessions: who is connected, and a bounded mailbox to each.
//!
//! The table is the registry's watcher: what the registry commits is pushed from here. Nothing in it is needed after a crash;
//! devices connect again and read their twins.

mod mailbox;
mod notes;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use ids::{Clock, DeviceId, HubName, Identity, ModuleId, Timestamp};
use mqtt::Close;
use registry::{Change, LastSeen, Watcher};
use tokio::sync::watch;

use mailbox::Entry;
pub(crate) use mailbox::{Mailbox, MethodAnswer, NotDelivered, PendingCall, Push};
pub(crate) use notes::Notes;

/// What is known of an identity's connection since this process started. For display only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Presence {
    pub(crate) connected: bool,
    /// When `connected` changed last.
    pub(crate) updated: Timestamp,
    pub(crate) last_activity: Timestamp,
}

impl Presence {
    /// Of an identity that was not heard of.
    pub(crate) const UNKNOWN: Self = Self {
        connected: false,
        updated: Timestamp::NEVER,
        last_activity: Timestamp::NEVER,
    };
}

impl Presence {
    /// What of it outlives the process.
    fn to_keep(self) -> LastSeen {
        LastSeen {
            changed: self.updated,
            active: self.last_activity,
            model_id: None,
        }
    }
}

/// A device and its modules.
#[derive(Default)]
struct Known {
    live: BTreeMap<Option<ModuleId>, Entry>,
    presence: BTreeMap<Option<ModuleId>, Presence>,
}

#[derive(Default)]
struct Table {
    devices: HashMap<(HubName, DeviceId), Known>,
    connected: HashMap<HubName, u64>,
    last_token: u64,
    draining: bool,
}

impl Table {
    fn known(&self, identity: &Identity) -> Option<&Known> {
        self.devices.get(&key(identity))
    }

    fn count(&mut self, hub: &HubName) -> &mut u64 {
        self.connected.entry(hub.clone()).or_default()
    }
}

fn key(identity: &Identity) -> (HubName, DeviceId) {
    (identity.hub.clone(), identity.device.clone())
}

/// All live sessions of the server's hubs. Clones share one table.
#[derive(Clone)]
pub(crate) struct Sessions {
    clock: Clock,
    table: Arc<Mutex<Table>>,
    /// Counts sessions that began to listen for methods.
    arrivals: watch::Sender<u64>,
    /// Counts changes of what targeting depends on.
    targeting: watch::Sender<u64>,
    /// What of presences waits to be written.
    notes: Notes,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The tables are consistent between statements, so a panic elsewhere does not spoil them.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sessions {
    /// An empty table.
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            table: Arc::default(),
            arrivals: watch::Sender::new(0),
            targeting: watch::Sender::new(0),
            notes: Notes::default(),
        }
    }

    /// Enters a session; an older one of the same identity is closed. `None` while the server drains.
    pub(crate) fn open(&self, identity: Identity) -> Option<Mailbox> {
        let now = (self.clock)();
        let mut table = locked(&self.table);
        if table.draining {
            return None;
        }
        table.last_token += 1;
        let (entry, mailbox) = mailbox::pair(self, identity.clone(), table.last_token);
        let known = table.devices.entry(key(&identity)).or_default();
        let presence = Presence {
            connected: true,
            updated: now,
            last_activity: now,
        };
        known.presence.insert(identity.module.clone(), presence);
        self.notes.add(&identity, presence.to_keep());
        match known.live.insert(identity.module.clone(), entry) {
            Some(older) => older.close(Close::new(
                "taken_over",
                "another connection of this identity was opened (400027)",
            )),
            None => *table.count(&identity.hub) += 1,
        }
        Some(mailbox)
    }

    /// A session ended; nothing happens when a newer one took its place.
    fn left(&self, identity: &Identity, token: u64) {
        let now = (self.clock)();
        let mut table = locked(&self.table);
        let Some(known) = table.devices.get_mut(&key(identity)) else {
            return;
        };
        if known
            .live
            .get(&identity.module)
            .is_none_or(|entry| entry.token() != token)
        {
            return;
        }
        known.live.remove(&identity.module);
        // Of a deleted identity nothing is kept.
        if let Some(presence) = known.presence.get_mut(&identity.module) {
            *presence = Presence {
                connected: false,
                updated: now,
                last_activity: now,
            };
            self.notes.add(identity, presence.to_keep());
        }
        if known.live.is_empty() && known.presence.is_empty() {
            table.devices.remove(&key(identity));
        }
        let count = table.count(&identity.hub);
        *count = count.saturating_sub(1);
    }

    /// What is known of an identity's connection.
    pub(crate) fn presence(&self, identity: &Identity) -> Presence {
        let table = locked(&self.table);
        let known = table
            .known(identity)
            .and_then(|known| known.presence.get(&identity.module));
        known.copied().unwrap_or(Presence::UNKNOWN)
    }

    /// Notes that an identity was heard of over HTTP.
    pub(crate) fn heard_of(&self, identity: &Identity) {
        let now = (self.clock)();
        let mut table = locked(&self.table);
        let known = table.devices.entry(key(identity)).or_default();
        known
            .presence
            .entry(identity.module.clone())
            .or_insert(Presence::UNKNOWN)
            .last_activity = now;
        let seen = LastSeen {
            active: now,
            ..LastSeen::NEVER
        };
        self.notes.add(identity, seen);
    }

    /// What of presences waits to be written.
    pub(crate) fn notes(&self) -> &Notes {
        &self.notes
    }

    /// Sessions of a hub that are open now.
    pub(crate) fn connected(&self, hub: &HubName) -> u64 {
        locked(&self.table)
            .connected
            .get(hub)
            .copied()
            .unwrap_or_default()
    }

    /// Hands a method call to the session of `identity`.
    pub(crate) fn call(
        &self,
        identity: &Identity,
        name: &str,
        payload: Bytes,
    ) -> Result<PendingCall, NotDelivered> {
        let table = locked(&self.table);
        let entry = table
            .known(identity)
            .and_then(|known| known.live.get(&identity.module));
        entry.ok_or(NotDelivered::Offline)?.call(name, payload)
    }

    /// Follows the arrival of sessions that listen for methods.
    pub(crate) fn arrivals(&self) -> watch::Receiver<u64> {
        self.arrivals.subscribe()
    }

    fn arrived(&self) {
        self.arrivals.send_modify(|count| *count += 1);
    }

    /// Follows changes that may alter whom deployments target.
    pub(crate) fn targeting(&self) -> watch::Receiver<u64> {
        self.targeting.subscribe()
    }

    /// Closes every session and admits no new one.
    pub(crate) fn drain(&self, reason: &str) {
        let mut table = locked(&self.table);
        table.draining = true;
        table
            .devices
            .values()
            .flat_map(|known| known.live.values())
            .for_each(|entry| entry.close(Close::new("server_stopping", reason)));
    }

    /// Closes the session of an identity, and with a device those of its modules.
    fn close(&self, identity: &Identity, why: &Close) {
        let table = locked(&self.table);
        let live = table
            .known(identity)
            .into_iter()
            .flat_map(|known| &known.live);
        let concerned =
            live.filter(|(module, _)| identity.module.is_none() || identity.module == **module);
        concerned.for_each(|(_, entry)| entry.close(why.clone()));
    }

    fn forget(&self, identity: &Identity) {
        self.notes.forget(identity);
        let mut table = locked(&self.table);
        let Some(known) = table.devices.get_mut(&key(identity)) else {
            return;
        };
        known
            .presence
            .retain(|module, _| identity.module.is_some() && identity.module != *module);
        if known.live.is_empty() && known.presence.is_empty() {
            table.devices.remove(&key(identity));
        }
    }

    fn with_session(&self, identity: &Identity, act: impl FnOnce(&Entry)) {
        let table = locked(&self.table);
        if let Some(entry) = table
            .known(identity)
            .and_then(|known| known.live.get(&identity.module))
        {
            act(entry);
        }
    }
}

impl Watcher for Sessions {
    fn changed(&self, change: &Change) {
        match change {
            Change::Desired {
                identity,
                patch,
                version,
            } => {
                self.with_session(identity, |entry| entry.push_desired(patch, *version));
            }
            Change::Gone { identity } => {
                let why = Close::new("identity_deleted", "the identity was deleted");
                self.close(identity, &why);
                self.forget(identity);
            }
            Change::Disabled { identity } => {
                let why = Close::new("identity_disabled", "the device was disabled");
                self.close(identity, &why);
            }
            Change::CredentialsChanged { identity } => {
                self.with_session(identity, |entry| {
                    entry.close(Close::new(
                        "credentials_changed",
                        "the credentials were changed",
                    ));
                });
            }
            Change::Targeting { .. } => self.targeting.send_modify(|count| *count += 1),
            // Hubs are looked up when somebody connects; only one without devices, and so without sessions, can go.
            Change::Served => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;

    fn sessions() -> Sessions {
        Sessions::new(Arc::new(|| Timestamp::from_unix_seconds(1)))
    }

    fn identity(module: Option<&str>) -> Identity {
        Identity {
            hub: HubName::parse("hub").unwrap(),
            device: DeviceId::parse("d1").unwrap(),
            module: module.map(|module| ModuleId::parse(module).unwrap()),
        }
    }

    #[tokio::test]
    async fn a_newer_connection_replaces_the_older_one() {
        let sessions = sessions();
        let older = sessions.open(identity(None)).unwrap();
        let newer = sessions.open(identity(None)).unwrap();
        assert!(older.closed().await.reason.contains("400027"));
        drop(older);
        assert_eq!(sessions.connected(&identity(None).hub), 1);
        assert!(sessions.presence(&identity(None)).connected);
        drop(newer);
        assert_eq!(sessions.connected(&identity(None).hub), 0);
        assert!(!sessions.presence(&identity(None)).connected);
    }

    #[tokio::test]
    async fn a_deleted_device_takes_its_modules_with_it_and_leaves_nothing() {
        let sessions = sessions();
        let device = sessions.open(identity(None)).unwrap();
        let module = sessions.open(identity(Some("m"))).unwrap();
        sessions.changed(&Change::Gone {
            identity: identity(None),
        });
        for closed in [device.closed(), module.closed()] {
            assert_eq!(closed.await.code, "identity_deleted");
        }
        drop((device, module));
        assert!(locked(&sessions.table).devices.is_empty());
    }

    #[tokio::test]
    async fn a_mailbox_that_is_not_emptied_closes_its_session() {
        let sessions = sessions();
        let mailbox = sessions.open(identity(None)).unwrap();
        mailbox.want_desired(true);
        for version in 1..=200 {
            sessions.changed(&Change::Desired {
                identity: identity(None),
                patch: Map::new(),
                version,
            });
        }
        assert_eq!(mailbox.closed().await.code, "not_taken");
    }

    #[tokio::test]
    async fn patches_reach_only_who_asked_for_them() {
        let sessions = sessions();
        let mut device = sessions.open(identity(None)).unwrap();
        let mut module = sessions.open(identity(Some("m"))).unwrap();
        device.want_desired(true);
        for (version, module) in [(1, None), (2, Some("m")), (3, Some("other"))] {
            sessions.changed(&Change::Desired {
                identity: identity(module),
                patch: Map::new(),
                version,
            });
        }
        assert!(matches!(
            device.next().await,
            Push::Desired { version: 1, .. }
        ));
        module.want_desired(true);
        sessions.changed(&Change::Desired {
            identity: identity(Some("m")),
            patch: Map::new(),
            version: 4,
        });
        assert!(matches!(
            module.next().await,
            Push::Desired { version: 4, .. }
        ));
    }

    #[tokio::test]
    async fn a_call_ends_with_its_session() {
        let sessions = sessions();
        let mailbox = sessions.open(identity(None)).unwrap();
        let offline = sessions.call(&identity(None), "ping", Bytes::new());
        assert_eq!(offline.err(), Some(NotDelivered::Offline));
        mailbox.want_methods(true);
        let mut call = sessions
            .call(&identity(None), "ping", Bytes::new())
            .ok()
            .unwrap();
        drop(mailbox);
        assert!(call.answer().await.is_none());
    }

    #[test]
    fn nobody_is_admitted_while_draining() {
        let sessions = sessions();
        sessions.drain("bye");
        assert!(sessions.open(identity(None)).is_none());
    }
}
