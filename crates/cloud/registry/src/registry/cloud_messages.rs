//! The queues of cloud-to-device messages: sent, received, completed, purged, expired.

mod advance;
mod receive;
mod send;

use std::time::Duration;

use ids::{Etag, Identity, Timestamp};
use serde_json::json;
use store::{
    KeptSubscriptions, ListedMessage, LockHolder, MessageLockRow, QueueOwnerRow, QueuedMessageRow,
    StoreError, View, unit,
};
use wire::cloud_message::FeedbackStatus;

use self::advance::{Advance, Step};
use self::receive::ReceiveMessages;
use self::send::QueueMessage;
use super::Registry;
use super::act::Act;
use super::audited::Particulars;
use crate::cloud_message::{
    CheckedDraft, ClaimedMessages, Holder, LOCK, LockedMessage, MessageDraft, MessageError, Next,
    Settlement, after_settlement, is_held,
};
use crate::entropy::random;
use crate::error::StorageError;
use crate::etag;
use crate::rows::lock;

/// Messages that one pass over the expired ones looks at.
const EXPIRED: usize = 64;

impl Registry {
    /// Queues a message for a device or module; returns its id. The message is durable then.
    pub async fn send_message(
        &self,
        to: &Identity,
        draft: MessageDraft,
        now: Timestamp,
    ) -> Result<String, MessageError> {
        let fresh_id = self.fresh_etag().to_string();
        let draft = CheckedDraft::new(draft, &fresh_id, now)?;
        let id = draft.row.message_id.clone();
        let target = format!("{}/{to}", to.hub);
        let mut particulars = Particulars::new();
        particulars.insert("messageId".to_owned(), json!(id));
        let send = QueueMessage {
            to: to.clone(),
            draft,
            watchers: self.inner.watchers.clone(),
            particulars,
            now: now.ticks(),
        };
        self.act_with_particulars(Act::SendMessage, target, send)
            .await?;
        Ok(id)
    }

    /// Gives the first message that nobody has to a receiver over HTTPS, which has it for
    /// `lock_for`.
    pub async fn receive_message(
        &self,
        of: &Identity,
        lock_for: Duration,
        now: Timestamp,
    ) -> Result<Option<LockedMessage>, MessageError> {
        let lock_token = etag::random(random(&*self.inner.entropy));
        let lock = MessageLockRow {
            holder: LockHolder::Receiver,
            token: lock_token.to_string(),
            until: now.plus(lock_for).ticks(),
        };
        let claimed = self.receive(of, lock, 1, now).await?;
        let message = claimed.messages.into_iter().next();
        Ok(message.map(|message| LockedMessage {
            message,
            lock_token,
        }))
    }

    /// Gives up to `limit` messages to the MQTT session `session`, among them those that an
    /// earlier session of the same identity did not complete.
    pub async fn claim_messages(
        &self,
        of: &Identity,
        session: &Etag,
        limit: usize,
        now: Timestamp,
    ) -> Result<ClaimedMessages, MessageError> {
        let lock = MessageLockRow {
            holder: LockHolder::Session,
            token: session.to_string(),
            until: now.plus(LOCK).ticks(),
        };
        self.receive(of, lock, limit, now).await
    }

    async fn receive(
        &self,
        of: &Identity,
        lock: MessageLockRow,
        limit: usize,
        now: Timestamp,
    ) -> Result<ClaimedMessages, MessageError> {
        let receive = ReceiveMessages {
            of: of.clone(),
            lock,
            limit,
            now: now.ticks(),
        };
        // Most receivers find nothing, and that costs no write.
        let found = self.inner.store.read(|view| receive.find(view))?;
        if found.rows.is_empty() {
            return Ok(ClaimedMessages {
                messages: Vec::new(),
                next: found.next,
            });
        }
        self.inner.store.write_without_act(receive).await
    }

    /// Completes a message that an MQTT session sent and its client acknowledged. Nothing happens
    /// when somebody else has completed it, or its time has run out, in between.
    pub async fn complete_message(
        &self,
        of: &Identity,
        session: &Etag,
        sequence_number: i64,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let (owner, session) = (of.clone(), session.to_string());
        let decide = move |view: &View<'_>| {
            let holder = Holder::Session(&session);
            let mut rows = readable(view.queued_messages((&owner).into())?);
            let held =
                rows.find(|row| row.id == sequence_number && is_held(row, holder, now.ticks()));
            let next = Next::Ended(FeedbackStatus::Success);
            advance::step::<StorageError>(view, &owner, held.map(|row| (row, next)))
        };
        let complete = self.advance(Some(of), decide, now);
        self.inner.store.write_without_act(complete).await.map(drop)
    }

    /// Settles a message that a receiver over HTTPS has.
    pub async fn settle_message(
        &self,
        of: &Identity,
        lock_token: &Etag,
        settlement: Settlement,
        now: Timestamp,
    ) -> Result<(), MessageError> {
        let (owner, token) = (of.clone(), lock_token.to_string());
        let decide = move |view: &View<'_>| {
            let holder = Holder::Receiver(&token);
            let mut rows = readable(view.queued_messages((&owner).into())?);
            let held = rows.find(|row| is_held(row, holder, now.ticks()));
            let held = held.ok_or(MessageError::LockLost)?;
            let next = after_settlement(&held, settlement);
            advance::step::<MessageError>(view, &owner, Some((held, next)))
        };
        let change = self.advance(Some(of), decide, now);
        self.inner.store.write_without_act(change).await.map(drop)
    }

    /// Empties the queue of a device or module; returns how many messages were in it.
    pub async fn purge_messages(&self, of: &Identity, now: Timestamp) -> Result<u64, MessageError> {
        let target = format!("{}/{of}", of.hub);
        let owner = of.clone();
        let decide = move |view: &View<'_>| {
            let queue = view.queue_owner((&owner).into())?;
            let queue = queue.ok_or_else(|| MessageError::NotFound(owner.clone()))?;
            let messages = view.queued_messages((&owner).into())?.into_iter();
            let end = |message| Step::ending(queue.clone(), message, FeedbackStatus::Purged);
            Ok(messages.map(end).collect())
        };
        let purge = self.advance(Some(of), decide, now);
        self.act(Act::PurgeMessages, target, purge).await
    }

    /// Ends messages whose time has run out, behind everything that somebody waits for. Whether
    /// there may be more of them.
    pub async fn expire_messages(&self, now: Timestamp) -> Result<bool, StorageError> {
        let first = |view: &View<'_>| expired(view, now, 1);
        if self.inner.store.read(first)?.is_empty() {
            return Ok(false);
        }
        let decide = move |view: &View<'_>| {
            let expired = expired(view, now, EXPIRED)?.into_iter();
            let end = |(owner, message)| Step::ending(owner, message, FeedbackStatus::Expired);
            Ok::<_, StorageError>(expired.map(end).collect())
        };
        let expire = self.advance(None, decide, now);
        let ended = self.inner.store.write_in_background(expire).await?;
        Ok(ended >= EXPIRED as u64)
    }

    fn advance<D>(&self, of: Option<&Identity>, decide: D, now: Timestamp) -> Advance<D> {
        Advance {
            of: of.cloned(),
            decide,
            watchers: self.inner.watchers.clone(),
            now,
        }
    }

    /// How many messages wait for each, in their order.
    pub async fn message_counts(&self, of: &[Identity]) -> Result<Vec<u64>, StorageError> {
        if of.len() <= super::presences::INLINE {
            return self.inner.store.read(|view| counts(view, of));
        }
        let of = of.to_vec();
        self.inner.store.scan(move |view| counts(view, &of)).await
    }

    /// What a device or module is subscribed to across its sessions.
    pub fn kept_subscriptions(&self, of: &Identity) -> Result<KeptSubscriptions, StorageError> {
        let read = |view: &View<'_>| Ok(view.kept_subscriptions(of.into())?);
        self.inner.store.read(read)
    }

    /// Writes those subscriptions, or deletes them when there is none; durable then.
    pub async fn put_kept_subscriptions(
        &self,
        of: &Identity,
        kept: KeptSubscriptions,
    ) -> Result<(), StorageError> {
        let put = unit(
            of.clone(),
            |of| vec![lock(of)],
            |_, _| Ok::<_, StorageError>(()),
            move |of, tx, ()| tx.put_kept_subscriptions(of.into(), kept),
        );
        self.inner.store.write_without_act(put).await
    }
}

/// The messages of a queue, without those that are damaged.
fn readable(messages: Vec<ListedMessage>) -> impl Iterator<Item = QueuedMessageRow> {
    messages.into_iter().filter_map(|message| message.row.ok())
}

/// Messages whose time has run out, up to `limit`. Those of a device or module that cannot be read
/// are left out; they go with it.
fn expired(
    view: &View<'_>,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<(QueueOwnerRow, ListedMessage)>, StoreError> {
    let mut expired = Vec::new();
    let mut seen = 0;
    loop {
        let found = view.expired_messages(now.ticks(), (seen, limit))?;
        let is_last = found.len() < limit;
        seen += found.len();
        let of_known = found
            .into_iter()
            .filter_map(|found| Some((found.owner.ok()?, found.message)));
        expired.extend(of_known.take(limit - expired.len()));
        if is_last || expired.len() >= limit {
            return Ok(expired);
        }
    }
}

fn counts(view: &View<'_>, of: &[Identity]) -> Result<Vec<u64>, StorageError> {
    let count = |identity: &Identity| Ok(view.count_messages(identity.into())?);
    of.iter().map(count).collect()
}
