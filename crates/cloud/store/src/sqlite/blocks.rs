use rusqlite::params;

use crate::{BlockedRow, Lock, StoreError, Tx, View};

impl View<'_> {
    /// The block of a registration.
    pub fn block(&self, id_scope: &str, folded: &str) -> Result<Option<BlockedRow>, StoreError> {
        let sql = "SELECT folded, spelled, reason, blocked, entry, hub, device_id,
                   device_disabled FROM blocks
                   WHERE id_scope = ?1 AND folded = ?2";
        self.one(sql, [id_scope, folded], |row| {
            let (hub, device): (Option<String>, Option<String>) = (row.get(5)?, row.get(6)?);
            Ok(BlockedRow {
                folded: row.get(0)?,
                spelled: row.get(1)?,
                reason: row.get(2)?,
                blocked: row.get(3)?,
                entry: row.get(4)?,
                device: hub.zip(device),
                device_disabled: row.get(7)?,
            })
        })
    }
}

impl View<'_> {
    /// Whether the device of this individual enrollment (its row id) is blocked.
    pub fn is_blocked(&self, enrollment: i64) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM enrollments AS e JOIN blocks AS b ON b.id_scope = e.id_scope AND
                   b.folded = e.folded
                   WHERE e.id = ?1 AND e.kind = 'individual'";
        let found = self.one(sql, [enrollment], |row| row.get::<_, i64>(0))?;
        Ok(found.is_some())
    }
}

impl Tx<'_> {
    pub fn insert_block(&self, id_scope: &str, row: &BlockedRow) -> Result<(), StoreError> {
        let sql = "INSERT INTO blocks (id_scope, folded, spelled, reason, blocked, entry, hub,
                   device_id, device_disabled)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        let (hub, device) = row.device.clone().unzip();
        #[rustfmt::skip]
        let values = params![
            id_scope, row.folded, row.spelled, row.reason, row.blocked, row.entry, hub, device,
            row.device_disabled,
        ];
        let folded = row.folded.as_str();
        self.write(Lock::Registration { id_scope, folded }, sql, values)
            .map(drop)
    }

    pub fn delete_block(&self, id_scope: &str, folded: &str) -> Result<(), StoreError> {
        let sql = "DELETE FROM blocks WHERE id_scope = ?1 AND folded = ?2";
        self.write(
            Lock::Registration { id_scope, folded },
            sql,
            [id_scope, folded],
        )
        .map(drop)
    }
}
