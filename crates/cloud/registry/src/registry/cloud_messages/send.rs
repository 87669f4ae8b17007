use std::sync::Arc;

use ids::Identity;
use store::{Lock, StoreError, Tx, Unit, View};

use super::readable;
use crate::change::Change;
use crate::cloud_message::{CheckedDraft, MAX_QUEUED, MessageError};
use crate::registry::audited::Particulars;
use crate::registry::watchers::Watchers;
use crate::rows::lock;

/// Queues a message, and wakes the session of its device or module.
pub(super) struct QueueMessage {
    pub(super) to: Identity,
    pub(super) draft: CheckedDraft,
    pub(super) watchers: Arc<Watchers>,
    pub(super) particulars: Particulars,
    /// 100 ns since 1970.
    pub(super) now: i64,
}

impl Unit for QueueMessage {
    type Plan = ();
    type Output = ((), Particulars);
    type Error = MessageError;

    fn locks(&self) -> Vec<Lock<'_>> {
        vec![lock(&self.to)]
    }

    fn decide(&self, view: &View<'_>) -> Result<(), MessageError> {
        if view.queue_owner((&self.to).into())?.is_none() {
            return Err(MessageError::NotFound(self.to.clone()));
        }
        let queued = readable(view.queued_messages((&self.to).into())?);
        // One that has expired makes room before it is swept away, and one that is damaged does not
        // stop the queue.
        let waiting = queued.filter(|row| row.expires > self.now).count();
        match waiting < MAX_QUEUED {
            true => Ok(()),
            false => Err(MessageError::QueueFull(self.to.clone())),
        }
    }

    fn apply(&self, tx: &Tx<'_>, (): ()) -> Result<((), Particulars), StoreError> {
        tx.insert_message((&self.to).into(), &self.draft.row)?;
        let identity = self.to.clone();
        self.watchers.tell(tx, Change::MessageQueued { identity });
        Ok(((), self.particulars.clone()))
    }
}
