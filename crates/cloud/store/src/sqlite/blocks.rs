use ids::RegistrationId;
use rusqlite::params;

use crate::sqlite::decode;
use crate::{BlockedRow, EnrollmentChange, Lock, StoreError, Tx, View};

impl View<'_> {
    /// The block of a registration.
    pub fn block(
        &self,
        id_scope: &str,
        id: &RegistrationId,
    ) -> Result<Option<BlockedRow>, StoreError> {
        let sql = "SELECT spelled, reason, blocked, enrollment_change, hub, device_id,
                       device_disabled FROM blocks
                   WHERE id_scope = ?1 AND folded = ?2";
        self.one(sql, [id_scope, id.folded()], |row| {
            Ok(BlockedRow {
                registration_id: decode::id(row, 0, "registration id")?,
                reason: row.get(1)?,
                blocked: row.get(2)?,
                enrollment_change: decode::named(
                    row,
                    3,
                    "enrollment change",
                    EnrollmentChange::named,
                )?,
                device: decode::device(row, 4, 5)?,
                device_disabled: row.get(6)?,
            })
        })
    }

    pub fn has_block(&self, id_scope: &str, id: &RegistrationId) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM blocks WHERE id_scope = ?1 AND folded = ?2";
        let found = self.one(sql, [id_scope, id.folded()], |_| Ok(()))?;
        Ok(found.is_some())
    }

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
        let sql = "INSERT INTO blocks (id_scope, folded, spelled, reason, blocked,
                       enrollment_change, hub, device_id, device_disabled)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        let (id, device) = (&row.registration_id, row.device.as_ref());
        #[rustfmt::skip]
        let values = params![
            id_scope, id.folded(), id.as_str(), row.reason, row.blocked,
            row.enrollment_change.name(), device.map(|at| at.hub.as_str()),
            device.map(|at| at.device_id.as_str()), row.device_disabled,
        ];
        self.write(lock(id_scope, id), sql, values).map(drop)
    }

    pub fn delete_block(&self, id_scope: &str, id: &RegistrationId) -> Result<(), StoreError> {
        let sql = "DELETE FROM blocks WHERE id_scope = ?1 AND folded = ?2";
        self.write(lock(id_scope, id), sql, [id_scope, id.folded()])
            .map(drop)
    }
}

fn lock<'a>(id_scope: &'a str, id: &'a RegistrationId) -> Lock<'a> {
    let folded = id.folded();
    Lock::Registration { id_scope, folded }
}
