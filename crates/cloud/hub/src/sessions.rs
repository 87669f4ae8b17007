//! Hands what the registry commits to the live sessions, and keeps what is to be stored of their presence.

mod notes;

use std::sync::Arc;

use ids::{Clock, Identity};
use registry::{Change, LastSeen, Watcher};
use tokio::sync::watch;
use transport::Close;
use transport::sessions::{Presence, PresenceObserver, Sessions};

pub(crate) use notes::Notes;

impl PresenceObserver for Notes {
    fn changed(&self, identity: &Identity, presence: Presence) {
        let seen = LastSeen {
            changed: presence.updated,
            active: presence.last_activity,
            model_id: None,
        };
        self.add(identity, seen);
    }
}

/// The sessions of all hubs, and what follows their changes. Clones share them.
#[derive(Clone)]
pub(crate) struct HubSessions {
    live: Sessions,
    /// Counts changes that deployments have to be targeted again for.
    targeting: watch::Sender<u64>,
    notes: Notes,
}

impl HubSessions {
    pub(crate) fn new(clock: Clock) -> Self {
        let notes = Notes::default();
        Self {
            live: Sessions::new(clock, Arc::new(notes.clone())),
            targeting: watch::Sender::new(0),
            notes,
        }
    }

    pub(crate) fn live(&self) -> &Sessions {
        &self.live
    }

    /// Presences that are not stored yet.
    pub(crate) fn notes(&self) -> &Notes {
        &self.notes
    }

    /// Changes whenever deployments may target other devices.
    pub(crate) fn targeting(&self) -> watch::Receiver<u64> {
        self.targeting.subscribe()
    }
}

impl Watcher for HubSessions {
    fn changed(&self, change: &Change) {
        match change {
            Change::Desired {
                identity,
                patch,
                version,
            } => self.live.push_desired(identity, patch, *version),
            Change::Gone { identity } => {
                let why = Close::new("identity_deleted", "the identity was deleted");
                self.live.close_with_modules(identity, &why);
                self.notes.forget(identity);
                self.live.forget(identity);
            }
            Change::Disabled { identity } => {
                let why = Close::new("identity_disabled", "the device was disabled");
                self.live.close_with_modules(identity, &why);
            }
            Change::CredentialsChanged { identity } => {
                let why = Close::new("credentials_changed", "the credentials were changed");
                self.live.close(identity, why);
            }
            Change::Targeting { .. } => self.targeting.send_modify(|count| *count += 1),
            // A hub is looked up when a device connects. Only a hub without devices, and so without sessions, can be deleted.
            Change::ServicesOrHubs => {}
        }
    }
}
