//! The streams of events that readers have open, counted for each hub.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ids::HubName;

/// Most streams of one hub.
pub(crate) const MAX_STREAMS: usize = 32;

/// How many streams are open. Clones share the count.
#[derive(Debug, Clone, Default)]
pub(crate) struct OpenStreams(Arc<Mutex<HashMap<HubName, usize>>>);

/// The place of one stream; free again when it is dropped.
#[derive(Debug)]
pub(crate) struct StreamPlace {
    streams: OpenStreams,
    hub: HubName,
}

impl OpenStreams {
    fn counts(&self) -> MutexGuard<'_, HashMap<HubName, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place, unless all are taken.
    pub(crate) fn enter(&self, hub: &HubName) -> Option<StreamPlace> {
        let mut counts = self.counts();
        let count = counts.entry(hub.clone()).or_default();
        if *count >= MAX_STREAMS {
            return None;
        }
        *count += 1;
        Some(StreamPlace {
            streams: self.clone(),
            hub: hub.clone(),
        })
    }
}

impl Drop for StreamPlace {
    fn drop(&mut self) {
        let mut counts = self.streams.counts();
        if let Some(count) = counts.get_mut(&self.hub) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.hub);
            }
        }
    }
}
