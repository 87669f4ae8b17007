use rusqlite::{Row, params};

use crate::sqlite::decode;
use crate::{Lock, RefusalFilter, RefusalRow, StoreError, Tx, View};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT number, spelled, reason, error_code, credential, times, first, last, report
             FROM refusals ",
            $rest
        )
    };
}

fn read(row: &Row<'_>) -> rusqlite::Result<RefusalRow> {
    Ok(RefusalRow {
        number: row.get(0)?,
        registration_id: decode::id(row, 1, "registration id")?,
        reason: row.get(2)?,
        error_code: row.get(3)?,
        credential: row.get(4)?,
        times: row.get(5)?,
        first: row.get(6)?,
        last: row.get(7)?,
        report: row.get(8)?,
    })
}

impl View<'_> {
    pub fn refusals(
        &self,
        filter: RefusalFilter<'_>,
        limit: usize,
    ) -> Result<Vec<RefusalRow>, StoreError> {
        let RefusalFilter {
            id_scope,
            registration_id,
            from,
            to,
            before,
        } = filter;
        match registration_id {
            Some(id) => self.all(
                select!(
                    "WHERE id_scope = ?1 AND folded = ?2 AND number < ?3 AND last >= ?4 AND last
                    < ?5 ORDER BY number DESC LIMIT ?6"
                ),
                params![id_scope, id.folded(), before, from, to, limit],
                read,
            ),
            None => self.all(
                select!(
                    "WHERE id_scope = ?1 AND number < ?2 AND last >= ?3 AND last < ?4 ORDER BY
                    number DESC LIMIT ?5"
                ),
                params![id_scope, before, from, to, limit],
                read,
            ),
        }
    }
}

impl Tx<'_> {
    /// Writes a refusal as the newest. One with the same registration, reason and
    /// credential is replaced, and counted on. Of a registration the newest `each` stay, of
    /// the service the newest `all`.
    pub fn put_refusal(
        &self,
        id_scope: &str,
        row: &RefusalRow,
        (each, all): (usize, i64),
    ) -> Result<(), StoreError> {
        let (folded, spelled) = (row.registration_id.folded(), row.registration_id.as_str());
        let key = params![id_scope, folded, row.reason, row.credential];
        let sql = "SELECT times, first FROM refusals
                   WHERE id_scope = ?1 AND folded = ?2 AND reason = ?3 AND credential = ?4";
        let before: Option<(i64, i64)> =
            self.one(sql, key, |row| Ok((row.get(0)?, row.get(1)?)))?;
        if before.is_some() {
            let sql = "DELETE FROM refusals WHERE id_scope = ?1 AND folded = ?2 AND reason = ?3
                       AND credential = ?4";
            self.write(
                Lock::RefusalLog { id_scope },
                sql,
                params![id_scope, folded, row.reason, row.credential],
            )?;
        }
        let (times, first) = before.unwrap_or((0, row.first));
        let sql = "INSERT INTO refusals (id_scope, folded, spelled, reason, error_code,
                   credential, times, first, last, report, number)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10,
                       (SELECT coalesce(max(number), 0) + 1 FROM refusals WHERE id_scope = ?1))";
        #[rustfmt::skip]
        let values = params![
            id_scope, folded, spelled, row.reason, row.error_code, row.credential,
            times + row.times, first, row.last, row.report,
        ];
        self.write(Lock::RefusalLog { id_scope }, sql, values)?;
        let sql = "DELETE FROM refusals WHERE id_scope = ?1 AND folded = ?2 AND id <= (SELECT id
                   FROM refusals
                   WHERE id_scope = ?1 AND folded = ?2 ORDER BY id DESC LIMIT 1 OFFSET ?3)";
        self.write(
            Lock::RefusalLog { id_scope },
            sql,
            params![id_scope, folded, each],
        )?;
        let sql = "DELETE FROM refusals WHERE id_scope = ?1
                   AND number <= (SELECT max(number) FROM refusals WHERE id_scope = ?1) - ?2";
        self.write(Lock::RefusalLog { id_scope }, sql, params![id_scope, all])
            .map(drop)
    }

    /// Deletes some of the oldest refusals that came last before `before`; says how many.
    pub fn expire_refusals(&self, before: i64) -> Result<usize, StoreError> {
        // The newest has the largest id, and what comes again takes a new one.
        let sql = "DELETE FROM refusals WHERE id IN
                   (SELECT id FROM (SELECT id, last FROM refusals ORDER BY id LIMIT 1000) WHERE
                   last < ?1)";
        self.write(Lock::Directory, sql, [before])
    }
}
