//! What of presences shall outlive the process, until it is written.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ids::Identity;
use registry::LastSeen;

/// The newest of each identity. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<HashMap<Identity, LastSeen>>>);

impl Notes {
    fn all(&self) -> MutexGuard<'_, HashMap<Identity, LastSeen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what is later than what waits.
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

    /// What waits of one.
    pub(crate) fn of(&self, identity: &Identity) -> Option<LastSeen> {
        self.all().get(identity).cloned()
    }

    /// At most so many of those that wait. They stay until [`written`](Self::written) says that they are on disk.
    pub(crate) fn some(&self, most: usize) -> Vec<(Identity, LastSeen)> {
        let all = self.all();
        let pair = |(identity, seen): (&Identity, &LastSeen)| (identity.clone(), seen.clone());
        all.iter().take(most).map(pair).collect()
    }

    /// Lets go of what has not changed since.
    pub(crate) fn written(&self, written: &[(Identity, LastSeen)]) {
        let mut all = self.all();
        for (identity, seen) in written {
            if all.get(identity) == Some(seen) {
                all.remove(identity);
            }
        }
    }

    /// Lets go of a deleted identity, and with a device of its modules.
    pub(crate) fn forget(&self, gone: &Identity) {
        self.all().retain(|identity, _| {
            let device = (&identity.hub, &identity.device) == (&gone.hub, &gone.device);
            !(device && (gone.module.is_none() || gone.module == identity.module))
        });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all().is_empty()
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
    fn what_changed_while_it_was_written_is_written_again() {
        let notes = Notes::default();
        let identity = Identity::device(
            HubName::parse("hub").unwrap(),
            DeviceId::parse("d").unwrap(),
        );
        notes.add(&identity, seen(1, Some("dtmi:a;1")));
        let writing = notes.some(10);
        notes.add(&identity, seen(2, None));
        notes.written(&writing);
        assert_eq!(notes.of(&identity), Some(seen(2, Some("dtmi:a;1"))));
        notes.written(&notes.some(10));
        assert!(notes.is_empty());
        notes.add(&identity, seen(3, None));
        notes.forget(&identity);
        assert!(notes.is_empty());
    }
}
