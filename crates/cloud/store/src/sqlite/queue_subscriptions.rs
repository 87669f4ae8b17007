use crate::sqlite::identities::key_texts;
use crate::{IdentityKey, Lock, StoreError, Tx, View};

impl View<'_> {
    /// The QoS of the subscription to cloud-to-device messages that outlives sessions, 0 or 1.
    pub fn queue_subscription(&self, key: IdentityKey<'_>) -> Result<Option<u8>, StoreError> {
        let sql = "SELECT s.qos FROM identities AS i JOIN queue_subscriptions AS s
                   ON s.identity = i.id
                   WHERE i.hub = ?1 AND i.device_id = ?2 AND i.module_id = ?3";
        self.one(sql, key_texts(&key), |row| row.get(0))
    }
}

impl Tx<'_> {
    /// Writes the subscription of a device or module, or deletes it. Nothing happens when there is
    /// no such device or module.
    pub fn put_queue_subscription(
        &self,
        key: IdentityKey<'_>,
        qos: Option<u8>,
    ) -> Result<(), StoreError> {
        let lock = Lock::device(key.hub, key.device_id);
        let Some(qos) = qos else {
            let sql = "DELETE FROM queue_subscriptions WHERE identity IN (SELECT id FROM identities
                       WHERE hub = ?1 AND device_id = ?2 AND module_id = ?3)";
            return self.write(lock, sql, key_texts(&key)).map(drop);
        };
        let sql = "INSERT INTO queue_subscriptions (identity, qos)
                   SELECT id, ?4 FROM identities
                   WHERE hub = ?1 AND device_id = ?2 AND module_id = ?3
                   ON CONFLICT (identity) DO UPDATE SET qos = excluded.qos";
        let [hub, device_id, module_id] = key_texts(&key);
        self.write(lock, sql, (hub, device_id, module_id, qos))
            .map(drop)
    }
}
