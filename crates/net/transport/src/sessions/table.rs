//! Who is connected, without a lock and without a clock.

use std::collections::{BTreeMap, HashMap};

use ids::{DeviceId, HubName, Identity, ModuleId, Timestamp};

use super::{Presence, SessionHandle};

/// A device and its modules; the device itself has no module id.
#[derive(Default)]
struct DeviceSessions {
    open: BTreeMap<Option<ModuleId>, SessionHandle>,
    presence: BTreeMap<Option<ModuleId>, Presence>,
}

impl DeviceSessions {
    fn is_empty(&self) -> bool {
        self.open.is_empty() && self.presence.is_empty()
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
        device.presence.insert(identity.module.clone(), presence);
        let older = device.open.insert(identity.module.clone(), session);
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
        if device.open.get(&identity.module)?.number() != number {
            return None;
        }
        device.open.remove(&identity.module);
        let presence = device.presence.get_mut(&identity.module).map(|presence| {
            *presence = Presence {
                connected: false,
                updated: now,
                last_activity: now,
            };
            *presence
        });
        if device.is_empty() {
            self.devices.remove(&key);
        }
        let count = self.connected.entry(identity.hub.clone()).or_default();
        *count = count.saturating_sub(1);
        presence
    }

    pub(super) fn presence(&self, identity: &Identity) -> Presence {
        let device = self.devices.get(&key(identity));
        let presence = device.and_then(|device| device.presence.get(&identity.module));
        presence.copied().unwrap_or(Presence::UNKNOWN)
    }

    pub(super) fn record_activity(&mut self, identity: &Identity, now: Timestamp) -> Presence {
        let device = self.devices.entry(key(identity)).or_default();
        let presence = device.presence.entry(identity.module.clone());
        let presence = presence.or_insert(Presence::UNKNOWN);
        presence.last_activity = now;
        *presence
    }

    pub(super) fn connected(&self, hub: &HubName) -> u64 {
        self.connected.get(hub).copied().unwrap_or_default()
    }

    pub(super) fn session(&self, identity: &Identity) -> Option<&SessionHandle> {
        self.devices.get(&key(identity))?.open.get(&identity.module)
    }

    /// The session of an identity, and with a device those of its modules.
    pub(super) fn with_modules(&self, identity: &Identity) -> impl Iterator<Item = &SessionHandle> {
        let device = self.devices.get(&key(identity));
        let open = device.into_iter().flat_map(|device| &device.open);
        let concerned =
            open.filter(|(module, _)| identity.module.is_none() || identity.module == **module);
        concerned.map(|(_, session)| session)
    }

    /// Admits no session from now on, and returns those that are open.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = &SessionHandle> {
        self.draining = true;
        self.devices
            .values()
            .flat_map(|device| device.open.values())
    }

    pub(super) fn forget(&mut self, identity: &Identity) {
        let key = key(identity);
        let Some(device) = self.devices.get_mut(&key) else {
            return;
        };
        device
            .presence
            .retain(|module, _| identity.module.is_some() && identity.module != *module);
        if device.is_empty() {
            self.devices.remove(&key);
        }
    }

    /// Whether nothing is known of any device.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.devices.is_empty()
    }
}
