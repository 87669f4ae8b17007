use std::sync::Arc;

use ids::{Identity, Timestamp};
use store::{
    IdentityKey, ListedMessage, Lock, NotificationKind, QueueOwnerRow, QueuedMessageRow,
    StoreError, Tx, Unit, View,
};
use wire::cloud_message::{FeedbackRecord, FeedbackStatus};

use crate::change::Change;
use crate::cloud_message::Next;
use crate::registry::watchers::Watchers;
use crate::rows::lock;

/// What becomes of one message.
pub(super) struct Step {
    owner: QueueOwnerRow,
    /// Row id and revision.
    version: (i64, i64),
    next: Next,
    /// The id of the message and the outcome that its sender gets feedback about.
    feedback: Option<(String, FeedbackStatus)>,
}

impl Step {
    pub(super) fn new(owner: QueueOwnerRow, row: QueuedMessageRow, next: Next) -> Self {
        let feedback = match next {
            Next::Ended(status) => {
                let completed = status == FeedbackStatus::Success;
                row.ack.wants(completed).then_some((row.message_id, status))
            }
            Next::Requeued { .. } => None,
        };
        Self {
            owner,
            version: (row.id, row.revision),
            next,
            feedback,
        }
    }

    /// The end of a message, also of one that cannot be read: nobody gets feedback about that one.
    pub(super) fn ending(
        owner: QueueOwnerRow,
        message: ListedMessage,
        status: FeedbackStatus,
    ) -> Self {
        match message.row {
            Ok(row) => Self::new(owner, row, Next::Ended(status)),
            Err(error) => {
                tracing::error!(
                    hub.name = %owner.hub,
                    device.id = %owner.device_id,
                    sequence_number = message.id,
                    error = &error as &dyn std::error::Error,
                    "a damaged cloud-to-device message is deleted without feedback"
                );
                Self {
                    owner,
                    version: (message.id, message.revision),
                    next: Next::Ended(status),
                    feedback: None,
                }
            }
        }
    }

    fn key(&self) -> IdentityKey<'_> {
        IdentityKey {
            hub: &self.owner.hub,
            device_id: &self.owner.device_id,
            module_id: self.owner.module_id.as_ref(),
        }
    }
}

/// What becomes of the message that somebody has; nothing when its device or module is gone.
pub(super) fn step<E: From<StoreError>>(
    view: &View<'_>,
    of: &Identity,
    message: Option<(QueuedMessageRow, Next)>,
) -> Result<Vec<Step>, E> {
    let owner = view.queue_owner(of.into())?;
    let step = owner.zip(message);
    let step = step.map(|(owner, (row, next))| Step::new(owner, row, next));
    Ok(step.into_iter().collect())
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
            if step.feedback.is_some() {
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
                Next::Ended(_) => tx.delete_message(step.key(), step.version)?,
                Next::Requeued { deliveries } => {
                    tx.requeue_message(step.key(), step.version, deliveries)?;
                    let identity = Identity {
                        hub: step.owner.hub.clone(),
                        device: step.owner.device_id.clone(),
                        module: step.owner.module_id.clone(),
                    };
                    self.watchers.tell(tx, Change::MessageQueued { identity });
                }
            }
            if let Some((message_id, status)) = &step.feedback {
                self.write_feedback(tx, &step.owner, (message_id, *status))?;
            }
        }
        Ok(steps.len() as u64)
    }
}

impl<D> Advance<D> {
    fn write_feedback(
        &self,
        tx: &Tx<'_>,
        owner: &QueueOwnerRow,
        (message_id, status): (&str, FeedbackStatus),
    ) -> Result<(), StoreError> {
        let hub = owner.hub.as_str();
        let owner = owner.clone();
        let record = FeedbackRecord::new(
            (owner.device_id, owner.module_id),
            owner.generation_id,
            message_id.to_owned(),
            (status, self.now),
        );
        // A record of texts has nothing that cannot be written.
        let record = serde_json::to_string(&record).unwrap_or_default();
        let kind = (hub, NotificationKind::Feedback);
        tx.insert_notification(kind, &record, self.now.ticks())
    }
}
