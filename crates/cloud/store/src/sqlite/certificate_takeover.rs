use rusqlite::params;

use crate::{Lock, StoreError, TakeoverRow, Tx, View};

impl View<'_> {
    /// `None` once all certificates are taken over.
    pub fn certificate_takeover(&self) -> Result<Option<TakeoverRow>, StoreError> {
        let sql = "SELECT next, until FROM certificate_takeover";
        self.one(sql, [], |row| {
            Ok(TakeoverRow {
                next: row.get(0)?,
                until: row.get(1)?,
            })
        })
    }
}

impl Tx<'_> {
    /// Notes how far it has come. `next` beyond the last record ends it.
    pub fn advance_certificate_takeover(
        &self,
        before: TakeoverRow,
        next: u64,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE certificate_takeover SET next = ?2 WHERE next = ?1";
        self.write_version(Lock::Directory, sql, params![before.next, next])?;
        let sql = "DELETE FROM certificate_takeover WHERE next > until";
        self.write(Lock::Directory, sql, []).map(drop)
    }
}
