use ids::RegistrationId;
use rusqlite::{Row, params};

use crate::sqlite::decode;
use crate::{AllocationRow, Lock, StoreError, Tx, View};

fn read_allocation(row: &Row<'_>) -> rusqlite::Result<AllocationRow> {
    Ok(AllocationRow {
        id: row.get(0)?,
        registration_id: decode::id(row, 1, "registration id")?,
        at: row.get(2)?,
        document: row.get(3)?,
    })
}

impl View<'_> {
    /// The records of a registration's allocations, the newest first.
    pub fn allocations(
        &self,
        id_scope: &str,
        id: &RegistrationId,
        limit: usize,
    ) -> Result<Vec<AllocationRow>, StoreError> {
        let sql = "SELECT id, folded, at, document FROM allocations
                   WHERE id_scope = ?1 AND folded = ?2 ORDER BY id DESC LIMIT ?3";
        self.all(sql, params![id_scope, id.folded(), limit], read_allocation)
    }

    /// One record of an allocation.
    pub fn allocation(&self, id_scope: &str, id: i64) -> Result<Option<AllocationRow>, StoreError> {
        let sql =
            "SELECT id, folded, at, document FROM allocations WHERE id_scope = ?1 AND id = ?2";
        self.one(sql, params![id_scope, id], read_allocation)
    }
}

impl Tx<'_> {
    /// Adds the record of an allocation. Of the same registration the newest `per_registration` are
    /// kept, of the service `in_all`.
    pub fn insert_allocation(
        &self,
        id_scope: &str,
        row: &AllocationRow,
        (per_registration, in_all): (usize, i64),
    ) -> Result<(), StoreError> {
        let folded = row.registration_id.folded();
        let sql = "INSERT INTO allocations (id_scope, folded, at, document, number)
             VALUES (?1, ?2, ?3, ?4,
                 (SELECT coalesce(max(number), 0) + 1 FROM allocations WHERE id_scope = ?1))";
        self.write(
            Lock::AllocationLog { id_scope },
            sql,
            params![id_scope, folded, row.at, row.document],
        )?;
        let sql = "DELETE FROM allocations WHERE id_scope = ?1 AND folded = ?2 AND id NOT IN
                   (SELECT id FROM allocations WHERE id_scope = ?1 AND folded = ?2 ORDER BY id
                   DESC LIMIT ?3)";
        self.write(
            Lock::AllocationLog { id_scope },
            sql,
            params![id_scope, folded, per_registration],
        )?;
        let sql = "DELETE FROM allocations WHERE id_scope = ?1
                   AND number <= (SELECT max(number) FROM allocations WHERE id_scope = ?1) - ?2";
        self.write(
            Lock::AllocationLog { id_scope },
            sql,
            params![id_scope, in_all],
        )
        .map(drop)
    }
}
