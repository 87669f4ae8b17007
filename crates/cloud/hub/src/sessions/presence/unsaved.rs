//! Presences that are to be stored.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ids::Identity;
use registry::LastSeen;
use transport::sessions::{Presence, PresenceObserver};

/// The newest values of each identity. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct UnsavedPresences(Arc<Mutex<HashMap<Identity, LastSeen>>>);

impl UnsavedPresences {
    fn all(&self) -> MutexGuard<'_, HashMap<Identity, LastSeen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Merges newer values into those that wait.
    pub(crate) fn add(&self, identity: &Identity, seen: LastSeen) {
        match self.all().entry(identity.clone()) {
            Entry::Vacant(new) => drop(new.insert(seen)),
            Entry::Occupied(mut known) => {
                let known = known.get_mut();
                known.changed = known.changed.max(seen.changed);
                known.active = known.active.max(seen.active);
                known.model_id = seen.model_id.or(known.model_id.take());
            }
        }
    }

    pub(crate) fn get(&self, identity: &Identity) -> Option<LastSeen> {
        self.all().get(identity).cloned()
    }

    /// At most `max` of those that wait. They stay until [`mark_saved`](Self::mark_saved).
    pub(crate) fn up_to(&self, max: usize) -> Vec<(Identity, LastSeen)> {
        let all = self.all();
        let pair = |(identity, seen): (&Identity, &LastSeen)| (identity.clone(), seen.clone());
        all.iter().take(max).map(pair).collect()
    }

    /// Removes values that have not changed since they were read.
    pub(crate) fn mark_saved(&self, saved: &[(Identity, LastSeen)]) {
        let mut all = self.all();
        for (identity, seen) in saved {
            if all.get(identity) == Some(seen) {
                all.remove(identity);
            }
        }
        // After a fleet has connected, what its map took is given back.
        if all.is_empty() {
            *all = HashMap::new();
        }
    }

    /// Removes a deleted identity, and the modules of a deleted device.
    pub(crate) fn remove(&self, gone: &Identity) {
        self.all().retain(|identity, _| {
            let device = (&identity.hub, &identity.device) == (&gone.hub, &gone.device);
            !(device && (gone.module.is_none() || gone.module == identity.module))
        });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all().is_empty()
    }
}

impl PresenceObserver for UnsavedPresences {
    fn changed(&self, identity: &Identity, presence: Presence) {
        let seen = LastSeen {
            changed: presence.updated,
            active: presence.last_activity,
            model_id: None,
        };
        self.add(identity, seen);
    }
}

#[cfg(test)]
mod tests {
    use ids::{DeviceId, HubName, Timestamp};

    use super::*;

    fn seen(seconds: i64, model: Option<&str>) -> LastSeen {
        LastSeen {
            changed: Timestamp::from_unix_seconds(seconds),
            active: Timestamp::from_unix_seconds(seconds),
            model_id: model.map(str::to_owned),
        }
    }

    #[test]
    fn a_value_that_changed_while_it_was_saved_is_saved_again() {
        let unsaved = UnsavedPresences::default();
        let identity = Identity::device(
            HubName::parse("hub").unwrap(),
            DeviceId::parse("d").unwrap(),
        );
        unsaved.add(&identity, seen(1, Some("dtmi:a;1")));
        let saving = unsaved.up_to(10);
        unsaved.add(&identity, seen(2, None));
        unsaved.mark_saved(&saving);
        assert_eq!(unsaved.get(&identity), Some(seen(2, Some("dtmi:a;1"))));
        unsaved.mark_saved(&unsaved.up_to(10));
        assert!(unsaved.is_empty());
        assert_eq!(unsaved.all().capacity(), 0);
        unsaved.add(&identity, seen(3, None));
        unsaved.remove(&identity);
        assert!(unsaved.is_empty());
    }
}
