use crate::rows::KeptSubscriptions;
use crate::sqlite::identities::key_texts;
use crate::{IdentityKey, Lock, StoreError, Tx, View};

impl View<'_> {
    /// What a device or module is subscribed to across its sessions.
    pub fn kept_subscriptions(
        &self,
        key: IdentityKey<'_>,
    ) -> Result<KeptSubscriptions, StoreError> {
        let sql = "SELECT s.messages, s.desired, s.methods, s.credentials FROM identities AS i
                   JOIN kept_subscriptions AS s ON s.identity = i.id
                   WHERE i.hub = ?1 AND i.device_id = ?2 AND i.module_id = ?3";
        let found = self.one(sql, key_texts(&key), |row| {
            Ok(KeptSubscriptions {
                messages: row.get(0)?,
                desired: row.get(1)?,
                methods: row.get(2)?,
                credentials: row.get(3)?,
            })
        });
        Ok(found?.unwrap_or_default())
    }
}

impl Tx<'_> {
    /// Writes the subscriptions of a device or module, or deletes them when none is left. Nothing
    /// happens when there is no such device or module.
    pub fn put_kept_subscriptions(
        &self,
        key: IdentityKey<'_>,
        kept: KeptSubscriptions,
    ) -> Result<(), StoreError> {
        let lock = Lock::device(key.hub, key.device_id);
        if kept == KeptSubscriptions::default() {
            let sql = "DELETE FROM kept_subscriptions WHERE identity IN (SELECT id FROM identities
                       WHERE hub = ?1 AND device_id = ?2 AND module_id = ?3)";
            return self.write(lock, sql, key_texts(&key)).map(drop);
        }
        let sql = "INSERT INTO kept_subscriptions (identity, messages, desired, methods,
                       credentials)
                   SELECT id, ?4, ?5, ?6, ?7 FROM identities
                   WHERE hub = ?1 AND device_id = ?2 AND module_id = ?3
                   ON CONFLICT (identity) DO UPDATE SET messages = excluded.messages,
                       desired = excluded.desired, methods = excluded.methods,
                       credentials = excluded.credentials";
        let [hub, device_id, module_id] = key_texts(&key);
        let KeptSubscriptions {
            messages,
            desired,
            methods,
            credentials,
        } = kept;
        #[rustfmt::skip]
        let values = (hub, device_id, module_id, messages, desired, methods, credentials);
        self.write(lock, sql, values).map(drop)
    }
}
