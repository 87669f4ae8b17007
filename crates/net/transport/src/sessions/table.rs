//! Who is connected, without a lock and without a clock.

use std::collections::HashMap;

use ids::{DeviceId, HubName, Identity, ModuleId, Timestamp};

use super::{Presence, SessionHandle};

/// A device and its modules, each at most once. Nearly every device has no other session than its
/// own: a list of one takes a tenth of the memory of a map.
#[derive(Default)]
struct DeviceSessions(Vec<KnownIdentity>);

/// What is known of one identity.
struct KnownIdentity {
    /// `None` for the device itself.
    module: Option<ModuleId>,
    session: Option<SessionHandle>,
    presence: Option<Presence>,
}

impl DeviceSessions {
    fn get(&self, module: Option<&ModuleId>) -> Option<&KnownIdentity> {
        self.0.iter().find(|known| known.module.as_ref() == module)
    }

    fn get_mut(&mut self, module: Option<&ModuleId>) -> Option<&mut KnownIdentity> {
        let mut all = self.0.iter_mut();
        all.find(|known| known.module.as_ref() == module)
    }

    fn get_or_add(&mut self, module: Option<&ModuleId>) -> &mut KnownIdentity {
        let at = self
            .0
            .iter()
            .position(|known| known.module.as_ref() == module);
        let at = at.unwrap_or_else(|| {
            self.0.reserve_exact(1);
            self.0.push(KnownIdentity {
                module: module.cloned(),
                session: None,
                presence: None,
            });
            self.0.len() - 1
        });
        &mut self.0[at]
    }

    fn sessions(&self) -> impl Iterator<Item = (Option<&ModuleId>, &SessionHandle)> {
        let known = self.0.iter();
        known.filter_map(|known| Some((known.module.as_ref(), known.session.as_ref()?)))
    }

    /// Drops identities of which nothing is known; whether none is left.
    fn tidy(&mut self) -> bool {
        self.0
            .retain(|known| known.session.is_some() || known.presence.is_some());
        self.0.is_empty()
    }
}

#[derive(Default)]
pub(super) struct Table {
    devices: HashMap<(HubName, DeviceId), DeviceSessions>,
    connected: HashMap<HubName, u64>,
    last_number: u64,
    draining: bool,
}

fn key(identity: &Identity) -> (HubName, DeviceId) {
    (identity.hub.clone(), identity.device.clone())
}

impl Table {
    /// A number for one more session; `None` while the server drains.
    pub(super) fn next_number(&mut self) -> Option<u64> {
        if self.draining {
            return None;
        }
        self.last_number += 1;
        Some(self.last_number)
    }

    /// Adds a session and returns the one that it replaces.
    pub(super) fn insert(
        &mut self,
        identity: &Identity,
        session: SessionHandle,
        presence: Presence,
    ) -> Option<SessionHandle> {
        let device = self.devices.entry(key(identity)).or_default();
        let known = device.get_or_add(identity.module.as_ref());
        known.presence = Some(presence);
        let older = known.session.replace(session);
        if older.is_none() {
            *self.connected.entry(identity.hub.clone()).or_default() += 1;
        }
        older
    }

    /// Removes session `number` and returns the presence that is left. `None` when a newer session
    /// has replaced it, and of a deleted identity, of which nothing is kept.
    pub(super) fn remove(
        &mut self,
        identity: &Identity,
        number: u64,
        now: Timestamp,
    ) -> Option<Presence> {
        let key = key(identity);
        let device = self.devices.get_mut(&key)?;
        let known = device.get_mut(identity.module.as_ref())?;
        known.session.take_if(|open| open.number() == number)?;
        if let Some(presence) = &mut known.presence {
            *presence = Presence {
                connected: false,
                updated: now,
                last_activity: now,
            };
        }
        let presence = known.presence;
        if device.tidy() {
            self.devices.remove(&key);
        }
        let count = self.connected.entry(identity.hub.clone()).or_default();
        *count = count.saturating_sub(1);
        presence
    }

    pub(super) fn presence(&self, identity: &Identity) -> Presence {
        let known = self.known(identity);
        let presence = known.and_then(|known| known.presence);
        presence.unwrap_or(Presence::UNKNOWN)
    }

    fn known(&self, identity: &Identity) -> Option<&KnownIdentity> {
        let device = self.devices.get(&key(identity))?;
        device.get(identity.module.as_ref())
    }

    pub(super) fn record_activity(&mut self, identity: &Identity, now: Timestamp) -> Presence {
        let device = self.devices.entry(key(identity)).or_default();
        let known = device.get_or_add(identity.module.as_ref());
        let presence = known.presence.get_or_insert(Presence::UNKNOWN);
        presence.last_activity = now;
        *presence
    }

    pub(super) fn connected(&self, hub: &HubName) -> u64 {
        self.connected.get(hub).copied().unwrap_or_default()
    }

    pub(super) fn session(&self, identity: &Identity) -> Option<&SessionHandle> {
        self.known(identity)?.session.as_ref()
    }

    /// The session of an identity, and with a device those of its modules.
    pub(super) fn with_modules(&self, identity: &Identity) -> impl Iterator<Item = &SessionHandle> {
        let device = self.devices.get(&key(identity)).into_iter();
        let concerned = |module| identity.module.is_none() || identity.module.as_ref() == module;
        device
            .flat_map(DeviceSessions::sessions)
            .filter(move |(module, _)| concerned(*module))
            .map(|(_, session)| session)
    }

    /// Admits no session from now on, and returns those that are open.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = &SessionHandle> {
        self.draining = true;
        let open = self.devices.values().flat_map(DeviceSessions::sessions);
        open.map(|(_, session)| session)
    }

    pub(super) fn forget(&mut self, identity: &Identity) {
        let key = key(identity);
        let Some(device) = self.devices.get_mut(&key) else {
            return;
        };
        for known in &mut device.0 {
            if identity.module.is_none() || identity.module == known.module {
                known.presence = None;
            }
        }
        if device.tidy() {
            self.devices.remove(&key);
        }
    }

    /// Whether nothing is known of any device.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.devices.is_empty()
    }
}
