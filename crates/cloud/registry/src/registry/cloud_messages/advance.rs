use std::sync::Arc;

use ids::{Identity, Timestamp};
use store::{
    IdentityKey, Lock, NotificationKind, QueueOwnerRow, QueuedMessageRow, StoreError, Tx, Unit,
    View,
};
use wire::cloud_message::{FeedbackRecord, FeedbackStatus};

use crate::change::Change;
use crate::cloud_message::Next;
use crate::registry::watchers::Watchers;
use crate::rows::lock;

/// What becomes of one message.
pub(super) struct Step {
    pub(super) owner: QueueOwnerRow,
    pub(super) row: QueuedMessageRow,
    pub(super) next: Next,
}

impl Step {
    fn key(&self) -> IdentityKey<'_> {
        IdentityKey {
            hub: &self.owner.hub,
            device_id: &self.owner.device_id,
            module_id: self.owner.module_id.as_ref(),
        }
    }

    /// The outcome that the sender gets feedback about.
    fn feedback(&self) -> Option<FeedbackStatus> {
        let Next::Ended(status) = self.next else {
            return None;
        };
        let completed = status == FeedbackStatus::Success;
        Some(status).filter(|_| self.row.ack.wants(completed))
    }
}

/// The steps of messages of one queue; none when its device or module is gone.
pub(super) fn steps<E: From<StoreError>>(
    view: &View<'_>,
    of: &Identity,
    messages: impl IntoIterator<Item = (QueuedMessageRow, Next)>,
) -> Result<Vec<Step>, E> {
    let Some(owner) = view.queue_owner(of.into())? else {
        return Ok(Vec::new());
    };
    let step = |(row, next)| Step {
        owner: owner.clone(),
        row,
        next,
    };
    Ok(messages.into_iter().map(step).collect())
}

/// Takes messages out of their queues, with feedback where the sender wants it, or puts them back.
/// Its output is how many there were.
pub(super) struct Advance<D> {
    /// Whose messages they are, when that is known before anything is read.
    pub(super) of: Option<Identity>,
    pub(super) decide: D,
    pub(super) watchers: Arc<Watchers>,
    pub(super) now: Timestamp,
}

impl<D, E> Unit for Advance<D>
where
    D: Fn(&View<'_>) -> Result<Vec<Step>, E> + Send + 'static,
    E: From<StoreError> + Send + 'static,
{
    type Plan = Vec<Step>;
    type Output = u64;
    type Error = E;

    fn locks(&self) -> Vec<Lock<'_>> {
        self.of.iter().map(lock).collect()
    }

    fn locks_of_plan<'a>(&'a self, plan: &'a Vec<Step>) -> Vec<Lock<'a>> {
        let mut locks = Vec::new();
        for step in plan {
            locks.push(Lock::device(&step.owner.hub, &step.owner.device_id));
            if step.feedback().is_some() {
                let hub = step.owner.hub.as_str();
                locks.push(Lock::Notifications { hub });
            }
        }
        locks.sort();
        locks.dedup();
        locks
    }

    fn decide(&self, view: &View<'_>) -> Result<Vec<Step>, E> {
        (self.decide)(view)
    }

    fn apply(&self, tx: &Tx<'_>, steps: Vec<Step>) -> Result<u64, StoreError> {
        for step in &steps {
            match step.next {
                Next::Ended(_) => tx.delete_message(step.key(), &step.row)?,
                Next::Requeued { deliveries } => {
                    tx.requeue_message(step.key(), &step.row, deliveries)?;
                    let identity = Identity {
                        hub: step.owner.hub.clone(),
                        device: step.owner.device_id.clone(),
                        module: step.owner.module_id.clone(),
                    };
                    self.watchers.tell(tx, Change::MessageQueued { identity });
                }
            }
            if let Some(status) = step.feedback() {
                self.write_feedback(tx, step, status)?;
            }
        }
        Ok(steps.len() as u64)
    }
}

impl<D> Advance<D> {
    fn write_feedback(
        &self,
        tx: &Tx<'_>,
        step: &Step,
        status: FeedbackStatus,
    ) -> Result<(), StoreError> {
        let owner = step.owner.clone();
        let record = FeedbackRecord::new(
            (owner.device_id, owner.module_id),
            owner.generation_id,
            step.row.message_id.clone(),
            (status, self.now),
        );
        // A record of texts has nothing that cannot be written.
        let record = serde_json::to_string(&record).unwrap_or_default();
        let kind = (step.owner.hub.as_str(), NotificationKind::Feedback);
        tx.insert_notification(kind, &record, self.now.ticks())
    }
}
