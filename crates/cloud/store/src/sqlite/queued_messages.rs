use rusqlite::{Row, params};

use crate::rows::{
    ExpiredMessage, ListedMessage, LockHolder, MessageContentRow, MessageLockRow, NewMessageRow,
    QueueOwnerRow, QueuedMessageRow,
};
use crate::sqlite::decode;
use crate::sqlite::identities::key_texts;
use crate::{IdentityKey, Lock, StoreError, Tx, View};

macro_rules! select {
    ($columns:literal, $rest:literal) => {
        concat!(
            "SELECT m.id, m.revision, m.message_id, m.ack, m.enqueued, m.expires, m.deliveries,
            m.lock_holder, m.lock_token, m.locked_until",
            $columns,
            " FROM queued_messages AS m ",
            $rest
        )
    };
}

fn read(row: &Row<'_>) -> rusqlite::Result<QueuedMessageRow> {
    let token: Option<String> = row.get(8)?;
    let lock = match token {
        Some(token) => Some(MessageLockRow {
            holder: decode::named(row, 7, "lock holder", LockHolder::named)?,
            token,
            until: row.get(9)?,
        }),
        None => None,
    };
    Ok(QueuedMessageRow {
        id: row.get(0)?,
        revision: row.get(1)?,
        message_id: row.get(2)?,
        ack: decode::named(row, 3, "ack", ids::Ack::named)?,
        enqueued: row.get(4)?,
        expires: row.get(5)?,
        deliveries: row.get(6)?,
        lock,
    })
}

impl View<'_> {
    /// The queue of a device or module, in its order, without the contents.
    pub fn queued_messages(&self, key: IdentityKey<'_>) -> Result<Vec<ListedMessage>, StoreError> {
        let sql = select!(
            "",
            "JOIN identities AS i ON i.id = m.identity
             WHERE i.hub = ?1 AND i.device_id = ?2 AND i.module_id = ?3 ORDER BY m.id"
        );
        self.all(sql, key_texts(&key), |row| self.listed(row))
    }

    fn listed(&self, row: &Row<'_>) -> rusqlite::Result<ListedMessage> {
        Ok(ListedMessage {
            id: row.get(0)?,
            revision: row.get(1)?,
            row: read(row).map_err(|error| StoreError::sql("reading", self.file, error)),
        })
    }

    /// Whose queue a device's or module's is; `None` when it does not exist.
    pub fn queue_owner(&self, key: IdentityKey<'_>) -> Result<Option<QueueOwnerRow>, StoreError> {
        let sql = "SELECT hub, device_id, module_id, generation_id FROM identities
                   WHERE hub = ?1 AND device_id = ?2 AND module_id = ?3";
        self.one(sql, key_texts(&key), |row| read_owner(row, 0))
    }

    /// What a message brings; the inner error when its row cannot be read.
    pub fn message_content(
        &self,
        id: i64,
    ) -> Result<Option<Result<MessageContentRow, StoreError>>, StoreError> {
        let sql = "SELECT properties, body FROM queued_messages WHERE id = ?1";
        let content = |row: &Row<'_>| {
            Ok(MessageContentRow {
                properties: row.get(0)?,
                body: row.get(1)?,
            })
        };
        self.one(sql, [id], |row| {
            let content = content(row);
            Ok(content.map_err(|error| StoreError::sql("reading", self.file, error)))
        })
    }

    /// How many messages are in the queue of a device or module.
    pub fn count_messages(&self, key: IdentityKey<'_>) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM identities AS i JOIN queued_messages AS m
                   ON m.identity = i.id
                   WHERE i.hub = ?1 AND i.device_id = ?2 AND i.module_id = ?3";
        let count: Option<i64> = self.one(sql, key_texts(&key), |row| row.get(0))?;
        Ok(count.and_then(|count| count.try_into().ok()).unwrap_or(0))
    }

    /// How many messages are in the queue of the device or module of a row.
    pub fn count_messages_in_row(&self, identity: i64) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM queued_messages WHERE identity = ?1";
        let count: Option<i64> = self.one(sql, [identity], |row| row.get(0))?;
        Ok(count.and_then(|count| count.try_into().ok()).unwrap_or(0))
    }

    /// Messages of all queues that have expired and that nobody has, the longest expired first,
    /// without the first `skip`.
    pub fn expired_messages(
        &self,
        now: i64,
        (skip, limit): (usize, usize),
    ) -> Result<Vec<ExpiredMessage>, StoreError> {
        let sql = select!(
            ", i.hub, i.device_id, i.module_id, i.generation_id",
            "JOIN identities AS i ON i.id = m.identity
             WHERE m.expires <= ?1 AND (m.locked_until IS NULL OR m.locked_until <= ?1)
             ORDER BY m.expires, m.id LIMIT ?2 OFFSET ?3"
        );
        self.all(sql, params![now, limit, skip], |row| {
            let owner = read_owner(row, 10);
            Ok(ExpiredMessage {
                owner: owner.map_err(|error| StoreError::sql("reading", self.file, error)),
                message: self.listed(row)?,
            })
        })
    }
}

/// Reads hub, device, module and generation from the columns that begin with `first`.
fn read_owner(row: &Row<'_>, first: usize) -> rusqlite::Result<QueueOwnerRow> {
    let module_id = match row.get_ref(first + 2)?.as_str()? {
        "" => None,
        _ => Some(decode::id(row, first + 2, "module id")?),
    };
    Ok(QueueOwnerRow {
        hub: decode::id(row, first, "hub")?,
        device_id: decode::id(row, first + 1, "device id")?,
        module_id,
        generation_id: decode::id(row, first + 3, "generation id")?,
    })
}

impl Tx<'_> {
    /// Queues a message as the last one. Nothing happens when there is no such device or module.
    pub fn insert_message(
        &self,
        key: IdentityKey<'_>,
        row: &NewMessageRow,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO queued_messages (identity, revision, message_id, ack, properties,
                       body, enqueued, expires, deliveries)
                   SELECT id, 1, ?4, ?5, ?6, ?7, ?8, ?9, 0 FROM identities
                   WHERE hub = ?1 AND device_id = ?2 AND module_id = ?3";
        let [hub, device_id, module_id] = key_texts(&key);
        let values = params![
            hub,
            device_id,
            module_id,
            row.message_id,
            row.ack.name(),
            row.properties,
            row.body,
            row.enqueued,
            row.expires,
        ];
        self.write(device_lock(key), sql, values).map(drop)
    }

    /// Gives a message to a receiver.
    pub fn lock_message(
        &self,
        key: IdentityKey<'_>,
        row: &QueuedMessageRow,
        lock: &MessageLockRow,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE queued_messages SET lock_holder = ?3, lock_token = ?4,
                       locked_until = ?5, revision = revision + 1
                   WHERE id = ?1 AND revision = ?2";
        let (holder, token) = (lock.holder.name(), &lock.token);
        let values = params![row.id, row.revision, holder, token, lock.until];
        self.write_version(device_lock(key), sql, values)
    }

    /// Puts a message back to its place in the queue.
    pub fn requeue_message(
        &self,
        key: IdentityKey<'_>,
        (id, revision): (i64, i64),
        deliveries: u32,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE queued_messages SET lock_holder = NULL, lock_token = NULL,
                       locked_until = NULL, deliveries = ?3, revision = revision + 1
                   WHERE id = ?1 AND revision = ?2";
        let values = params![id, revision, deliveries];
        self.write_version(device_lock(key), sql, values)
    }

    pub fn delete_message(
        &self,
        key: IdentityKey<'_>,
        (id, revision): (i64, i64),
    ) -> Result<(), StoreError> {
        let sql = "DELETE FROM queued_messages WHERE id = ?1 AND revision = ?2";
        self.write_version(device_lock(key), sql, [id, revision])
    }
}

fn device_lock(key: IdentityKey<'_>) -> Lock<'_> {
    Lock::device(key.hub, key.device_id)
}
