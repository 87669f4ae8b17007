//! Forwards what the registry commits to the live sessions.

use std::sync::Arc;

use ids::Clock;
use registry::{Change, Watcher};
use tokio::sync::watch;
use transport::Close;
use transport::sessions::Sessions;

use crate::sessions::presence::unsaved::UnsavedPresences;

/// The sessions of all hubs, and what their changes lead to. Clones share them.
#[derive(Clone)]
pub(crate) struct SessionWatcher {
    sessions: Sessions,
    /// Counts the changes after which deployments may target other devices.
    targeting: watch::Sender<u64>,
    /// Counts the changes of jobs.
    jobs: watch::Sender<u64>,
    /// Counts the changes after which endpoints may be others.
    routing: watch::Sender<u64>,
    /// Counts the events of the hubs themselves.
    hub_events: watch::Sender<u64>,
    /// Counts the changes of what is revoked.
    revocations: watch::Sender<u64>,
    unsaved_presences: UnsavedPresences,
}

impl SessionWatcher {
    pub(crate) fn new(clock: Clock) -> Self {
        let unsaved_presences = UnsavedPresences::default();
        Self {
            sessions: Sessions::new(clock, Arc::new(unsaved_presences.clone())),
            targeting: watch::Sender::new(0),
            jobs: watch::Sender::new(0),
            routing: watch::Sender::new(0),
            hub_events: watch::Sender::new(0),
            revocations: watch::Sender::new(0),
            unsaved_presences,
        }
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    pub(crate) fn unsaved_presences(&self) -> &UnsavedPresences {
        &self.unsaved_presences
    }

    pub(crate) fn routing(&self) -> watch::Receiver<u64> {
        self.routing.subscribe()
    }

    pub(crate) fn hub_events(&self) -> watch::Receiver<u64> {
        self.hub_events.subscribe()
    }

    pub(crate) fn revocations(&self) -> watch::Receiver<u64> {
        self.revocations.subscribe()
    }

    pub(crate) fn targeting(&self) -> watch::Receiver<u64> {
        self.targeting.subscribe()
    }

    pub(crate) fn jobs(&self) -> watch::Receiver<u64> {
        self.jobs.subscribe()
    }
}

impl Watcher for SessionWatcher {
    fn changed(&self, change: &Change) {
        match change {
            Change::Desired {
                identity,
                patch,
                version,
            } => self.sessions.push_desired(identity, patch, *version),
            Change::Gone { identity } => {
                let why = Close::new("identity_deleted", "the identity was deleted");
                self.sessions.close_with_modules(identity, &why);
                self.unsaved_presences.remove(identity);
                self.sessions.forget(identity);
            }
            Change::Disabled { identity } => {
                let why = Close::new("identity_disabled", "the device was disabled");
                self.sessions.close_with_modules(identity, &why);
            }
            Change::CredentialsChanged { identity } => {
                let why = Close::new("credentials_changed", "the credentials were changed");
                self.sessions.close(identity, why);
            }
            Change::MessageQueued { identity } => self.sessions.announce_messages(identity),
            Change::Targeting { .. } => self.targeting.send_modify(|count| *count += 1),
            Change::Jobs { .. } => self.jobs.send_modify(|count| *count += 1),
            Change::HubEvents { .. } => self.hub_events.send_modify(|count| *count += 1),
            Change::Revocations => self.revocations.send_modify(|count| *count += 1),
            // A hub is looked up when a device connects. Only a hub without devices, and so without
            // sessions, can be deleted; its endpoints go with it.
            Change::Routing { .. } | Change::ServicesOrHubs => {
                self.routing.send_modify(|count| *count += 1);
            }
        }
    }
}
