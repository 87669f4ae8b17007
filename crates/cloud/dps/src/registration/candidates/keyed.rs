use std::sync::{Arc, PoisonError, RwLock};

use provisioning::Provisioning;
use tokio::sync::Mutex;

use super::GroupCache;
use crate::registration::enrollment::Entry;
use crate::registration::refusal::NotProven;

/// A service's groups of devices with derived keys, in memory: a token does not say which of them is meant, so that each registration
/// asks all of them. Their number is bounded where they are written.
///
/// What is in memory is used only as long as the storage has not written any group.
#[derive(Debug, Default)]
pub struct KeyedGroups {
    known: RwLock<Option<Known>>,
    /// Held by the one who reads.
    reading: Mutex<()>,
}

#[derive(Debug)]
struct Known {
    /// As of which change.
    group_generation: u64,
    groups: Arc<[Arc<Entry>]>,
}

impl KeyedGroups {
    /// All of them as they are now.
    ///
    /// # Errors
    /// When the storage fails, or one of them cannot be read.
    pub async fn find(
        &self,
        registry: &Provisioning,
        cache: &GroupCache,
    ) -> Result<Arc<[Arc<Entry>]>, NotProven> {
        let wanted = registry.group_generation();
        if let Some(groups) = self.as_of(wanted) {
            return Ok(groups);
        }
        let _alone = self.reading.lock().await;
        // Whoever waited takes what was read meanwhile.
        if let Some(groups) = self.as_of(wanted) {
            return Ok(groups);
        }
        // Before the groups are read: what is written while they are makes the result count as old.
        let group_generation = registry.group_generation();
        let records = registry.groups_with_keys().await?;
        let groups: Arc<[Arc<Entry>]> = cache.entries(&records)?.into();
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        *known = Some(Known {
            group_generation,
            groups: groups.clone(),
        });
        Ok(groups)
    }

    fn as_of(&self, group_generation: u64) -> Option<Arc<[Arc<Entry>]>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let known = known.as_ref();
        let known = known.filter(|known| known.group_generation >= group_generation);
        known.map(|known| known.groups.clone())
    }
}
