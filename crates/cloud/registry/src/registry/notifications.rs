//! Notifications for back ends: feedback about cloud-to-device messages, and uploaded files. A
//! receiver has a batch to itself until it settles the batch or its lock expires.

use std::time::Duration;

use ids::{Etag, HubName, Timestamp};
use store::{Lock, NotificationKind, NotificationRow, StoreError, Tx, Unit, View, unit};

use super::Registry;
use crate::cloud_message::{LOCK, MAX_DELIVERIES, MessageError, Settlement};
use crate::entropy::random;
use crate::error::StorageError;
use crate::etag;

/// Records of feedback in one batch.
const BATCH: usize = 64;
/// Feedback waits so long for a batch to become full.
const BATCH_WAIT: Duration = Duration::from_secs(15);
/// How long a notification waits for a receiver.
const TTL: Duration = Duration::from_secs(3600);

/// Notifications that a receiver has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotificationBatch {
    pub lock_token: Etag,
    /// The place of the first record in the order of the server.
    pub sequence_number: i64,
    /// When the oldest record was created.
    pub created: Timestamp,
    /// How often a receiver abandoned the first record.
    pub deliveries: u32,
    /// JSON, one text a record.
    pub records: Vec<String>,
}

/// The records of the next batch, of the oldest that nobody has.
fn batch(kind: NotificationKind, mut rows: Vec<NotificationRow>, now: i64) -> Vec<NotificationRow> {
    let waited = |row: &NotificationRow| Timestamp::from_ticks(row.created).plus(BATCH_WAIT);
    let due = rows.first().is_some_and(|row| waited(row).ticks() <= now);
    match kind {
        NotificationKind::File => rows.truncate(1),
        NotificationKind::Feedback if rows.len() >= BATCH || due => rows.truncate(BATCH),
        NotificationKind::Feedback => rows.clear(),
    }
    rows
}

impl Registry {
    /// Gives the next batch to a receiver.
    pub async fn receive_notifications(
        &self,
        hub: &HubName,
        kind: NotificationKind,
        now: Timestamp,
    ) -> Result<Option<NotificationBatch>, StorageError> {
        let receive = ReceiveBatch {
            hub: hub.clone(),
            kind,
            lock_token: etag::random(random(&*self.inner.entropy)),
            now,
        };
        let found = self.inner.store.read(|view| receive.decide(view))?;
        match found.is_empty() {
            true => Ok(None),
            false => self.inner.store.write_without_act(receive).await,
        }
    }

    /// Settles the batch that a receiver has. There is no way to reject one.
    pub async fn settle_notifications(
        &self,
        (hub, kind): (&HubName, NotificationKind),
        lock_token: &Etag,
        settlement: Settlement,
        now: Timestamp,
    ) -> Result<(), MessageError> {
        let token = lock_token.to_string();
        let change = unit(
            hub.clone(),
            |hub| vec![lock(hub)],
            move |hub, view| {
                let of = (hub.as_str(), kind);
                let held = view.locked_notifications(of, &token, now.ticks())?;
                match held.is_empty() {
                    true => Err(MessageError::LockLost),
                    false => Ok(held),
                }
            },
            move |hub, tx, held: Vec<NotificationRow>| {
                held.iter().try_for_each(|row| match settlement {
                    Settlement::Abandon if row.deliveries + 1 < MAX_DELIVERIES => {
                        tx.release_notification(hub.as_str(), row)
                    }
                    _ => tx.delete_notification(hub.as_str(), row),
                })
            },
        );
        self.inner.store.write_without_act(change).await
    }

    /// Deletes notifications that no receiver read in time.
    pub async fn expire_notifications(&self, now: Timestamp) -> Result<(), StorageError> {
        let since = now.minus(TTL).ticks();
        let old = |view: &View<'_>| view.hubs_of_old_notifications(since);
        for hub in self.inner.store.read(old)? {
            let hub = match hub {
                Ok(hub) => hub,
                Err(error) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "unread notifications of a hub are not deleted: its name is damaged"
                    );
                    continue;
                }
            };
            let delete = unit(
                hub,
                |hub| vec![lock(hub)],
                |_, _| Ok::<_, StorageError>(()),
                move |hub, tx, ()| tx.delete_old_notifications(hub.as_str(), since),
            );
            let deleted = self.inner.store.write_in_background(delete).await?;
            tracing::debug!(notifications = deleted, "unread notifications have expired");
        }
        Ok(())
    }
}

fn lock(hub: &HubName) -> Lock<'_> {
    Lock::Notifications { hub: hub.as_str() }
}

struct ReceiveBatch {
    hub: HubName,
    kind: NotificationKind,
    lock_token: Etag,
    now: Timestamp,
}

impl Unit for ReceiveBatch {
    type Plan = Vec<NotificationRow>;
    type Output = Option<NotificationBatch>;
    type Error = StorageError;

    fn locks(&self) -> Vec<Lock<'_>> {
        vec![lock(&self.hub)]
    }

    fn decide(&self, view: &View<'_>) -> Result<Self::Plan, StorageError> {
        let now = self.now.ticks();
        let since = self.now.minus(TTL).ticks();
        let of = (self.hub.as_str(), self.kind);
        let free = view.notifications(of, (since, now), BATCH)?;
        Ok(batch(self.kind, free, now))
    }

    fn apply(&self, tx: &Tx<'_>, rows: Self::Plan) -> Result<Self::Output, StoreError> {
        let until = self.now.plus(LOCK).ticks();
        for row in &rows {
            let lock = (self.lock_token.as_str(), until);
            tx.lock_notification(self.hub.as_str(), row, lock)?;
        }
        let Some(first) = rows.first() else {
            return Ok(None);
        };
        Ok(Some(NotificationBatch {
            lock_token: self.lock_token.clone(),
            sequence_number: first.id,
            created: Timestamp::from_ticks(first.created),
            deliveries: first.deliveries,
            records: rows.iter().map(|row| row.record.clone()).collect(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(count: usize, created: i64) -> Vec<NotificationRow> {
        let row = |id| NotificationRow {
            id,
            revision: 1,
            record: "{}".to_owned(),
            created,
            deliveries: 0,
        };
        (0..i64::try_from(count).unwrap()).map(row).collect()
    }

    #[test]
    fn feedback_waits_for_a_batch_and_files_do_not() {
        let wait = 15 * 10_000_000;
        let feedback = |count, now| batch(NotificationKind::Feedback, rows(count, 0), now).len();
        assert_eq!(feedback(3, wait - 1), 0);
        assert_eq!(feedback(3, wait), 3);
        assert_eq!(feedback(BATCH, 0), BATCH);
        assert_eq!(feedback(BATCH + 1, 0), BATCH);
        assert_eq!(feedback(0, wait), 0);
        assert_eq!(batch(NotificationKind::File, rows(3, 0), 0).len(), 1);
    }
}
