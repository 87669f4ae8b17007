//! Devices and modules that the store holds and that cannot be read or brought up to date:
//! damaged, or larger than they may be. They are skipped, so that the others go on, and
//! each is logged once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ids::HubName;

/// Most that are remembered. When more fail at once, they are logged each time.
const REMEMBERED: usize = 4096;

/// Whose row or work it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Whose {
    hub: HubName,
    device: String,
    /// Empty for the device itself.
    module: String,
}

impl Whose {
    pub(crate) fn device(hub: &HubName, device: &str) -> Self {
        Self::module(hub, device, "")
    }

    pub(crate) fn module(hub: &HubName, device: &str, module: &str) -> Self {
        Self {
            hub: hub.clone(),
            device: device.to_owned(),
            module: module.to_owned(),
        }
    }
}

/// How often each failed since it was last well. Clones share it; a restart forgets it,
/// and logs once more.
#[derive(Clone, Default)]
pub(crate) struct Unreadable(Arc<Mutex<HashMap<Whose, u64>>>);

impl Unreadable {
    fn all(&self) -> MutexGuard<'_, HashMap<Whose, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was read, or `None` after it was logged why not.
    pub(crate) fn kept<T>(
        &self,
        whose: Whose,
        read: Result<T, impl std::error::Error + 'static>,
    ) -> Option<T> {
        match read {
            Ok(read) => {
                self.well(&whose);
                Some(read)
            }
            Err(error) => {
                self.failed(whose, &error);
                None
            }
        }
    }

    /// Notes one more failure, and logs the first one; how many there are.
    pub(crate) fn failed(&self, whose: Whose, error: &(dyn std::error::Error + 'static)) -> u64 {
        let mut all = self.all();
        let full = all.len() >= REMEMBERED;
        let count = match all.entry(whose.clone()) {
            Entry::Occupied(mut known) => {
                *known.get_mut() += 1;
                *known.get()
            }
            Entry::Vacant(new) if !full => *new.insert(1),
            Entry::Vacant(_) => 1,
        };
        drop(all);
        if count == 1 {
            let module = Some(&whose.module).filter(|module| !module.is_empty());
            tracing::error!(hub.name = %whose.hub, device.id = whose.device, module.id = module, error, "a device is skipped: it cannot be read or brought up to date");
        }
        count
    }

    /// Notes that it is well.
    pub(crate) fn well(&self, whose: &Whose) {
        let mut all = self.all();
        if all.is_empty() {
            return;
        }
        if all.remove(whose).is_some() {
            drop(all);
            tracing::info!(hub.name = %whose.hub, device.id = whose.device, "a device that was skipped can be read again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_until_it_is_well() {
        let unreadable = Unreadable::default();
        let whose = Whose::device(&HubName::parse("hub").unwrap(), "d1");
        let error = std::io::Error::other("damaged");
        assert_eq!(unreadable.failed(whose.clone(), &error), 1);
        assert_eq!(unreadable.failed(whose.clone(), &error), 2);
        unreadable.well(&whose);
        assert_eq!(unreadable.failed(whose, &error), 1);
    }
}
