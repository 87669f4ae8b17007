use rusqlite::{Row, params};

use crate::sqlite::identities::key_texts;
use crate::{IdentityKey, Lock, PresenceRow, StoreError, Tx, View};

fn read(row: &Row<'_>) -> rusqlite::Result<PresenceRow> {
    Ok(PresenceRow {
        changed: row.get(0)?,
        active: row.get(1)?,
        model_id: row.get(2)?,
    })
}

impl View<'_> {
    /// What was noted of the device or module of a row.
    pub fn presence_in_row(&self, identity: i64) -> Result<Option<PresenceRow>, StoreError> {
        let sql = "SELECT changed, active, model_id FROM presences WHERE identity = ?1";
        self.one(sql, [identity], read)
    }

    /// What was noted of a device or module.
    pub fn presence(&self, key: IdentityKey<'_>) -> Result<Option<PresenceRow>, StoreError> {
        let sql = "SELECT p.changed, p.active, p.model_id FROM identities AS i JOIN presences AS
                   p ON p.identity = i.id
                   WHERE i.hub = ?1 AND i.device_id = ?2 AND i.module_id = ?3";
        self.one(sql, key_texts(&key), read)
    }
}

impl Tx<'_> {
    /// Notes what is later than what is noted. Nothing happens when there is no
    /// such device or module.
    pub fn note_presence(&self, key: IdentityKey<'_>, row: &PresenceRow) -> Result<(), StoreError> {
        let sql = "INSERT INTO presences (identity, changed, active, model_id)
                   SELECT id, ?4, ?5, ?6 FROM identities WHERE hub = ?1 AND device_id = ?2 AND
                       module_id = ?3
                   ON CONFLICT (identity) DO UPDATE SET changed = max(changed, excluded.changed),
                       active = max(active, excluded.active), model_id =
                       coalesce(excluded.model_id, model_id)";
        let [hub, device_id, module_id] = key_texts(&key);
        #[rustfmt::skip]
        let values = params![
            hub, device_id, module_id, row.changed, row.active, row.model_id,
        ];
        self.write(Lock::Device { hub, device_id }, sql, values)
            .map(drop)
    }
}
