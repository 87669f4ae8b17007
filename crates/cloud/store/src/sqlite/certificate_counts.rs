//! Reads whole tables, a range of row ids at a time, for reports on certificates. The sign before
//! `id_scope` keeps SQLite from an index on it, in which it would go through all rows for each range.

use rusqlite::{Row, params};

use crate::rows::EXPIRY_BOUNDS;
use crate::sqlite::decode;
use crate::{CountedRange, IssuedCountRow, IssuedState, StoreError, View};

fn read(row: &Row<'_>) -> rusqlite::Result<IssuedCountRow> {
    Ok(IssuedCountRow {
        issuer: decode::id(row, 0, "issuer")?,
        authority: decode::thumbprint(row, 1)?,
        key_type: row.get(2)?,
        state: decode::named(row, 3, "state", IssuedState::named)?,
        bounds_passed: row.get(4)?,
        count: row.get(5)?,
        with_der: row.get(6)?,
    })
}

impl View<'_> {
    /// The last row ids of issued certificates and of registrations, of all services.
    pub fn last_counted_ids(&self) -> Result<(i64, i64), StoreError> {
        let issued = "SELECT max(id) FROM issued_certificates";
        let registrations = "SELECT max(id) FROM registrations";
        let last = |sql| -> Result<i64, StoreError> {
            Ok(self.count::<Option<i64>>(sql, [])?.unwrap_or_default())
        };
        Ok((last(issued)?, last(registrations)?))
    }

    /// Counts issued certificates by all that a report tells apart, without those that
    /// [`each_issued`](Self::each_issued) visits. `bounds` are ends in rising order.
    pub fn count_issued(
        &self,
        range: CountedRange<'_>,
        apart: &str,
        bounds: [i64; EXPIRY_BOUNDS],
    ) -> Result<Vec<IssuedCountRow>, StoreError> {
        let sql = "SELECT issuer, authority, key_type, state,
                       (not_after >= ?4) + (not_after >= ?5) + (not_after >= ?6)
                           + (not_after >= ?7) + (not_after >= ?8) AS passed,
                       count(*), max(CASE WHEN der IS NOT NULL THEN id END)
                   FROM issued_certificates
                   WHERE +id_scope = ?1 AND id > ?2 AND id <= ?3
                     AND (key_type IS NOT ?9 OR der IS NULL)
                   GROUP BY issuer, authority, key_type, state, passed";
        let [first, second, third, fourth, fifth] = bounds;
        #[rustfmt::skip]
        let values = params![
            range.id_scope, range.after, range.last, first, second, third, fourth, fifth, apart,
        ];
        self.all(sql, values, read)
    }

    /// Calls `each` with every issued certificate whose key is of a type and whose DER is kept, one
    /// by one: a count of itself, and the DER.
    pub fn each_issued(
        &self,
        range: CountedRange<'_>,
        key_type: &str,
        bounds: [i64; EXPIRY_BOUNDS],
        mut each: impl FnMut(IssuedCountRow, &[u8]),
    ) -> Result<(), StoreError> {
        let sql = "SELECT issuer, authority, key_type, state,
                       (not_after >= ?4) + (not_after >= ?5) + (not_after >= ?6)
                           + (not_after >= ?7) + (not_after >= ?8), 1, id, der
                   FROM issued_certificates
                   WHERE +id_scope = ?1 AND id > ?2 AND id <= ?3 AND key_type = ?9
                     AND der IS NOT NULL";
        let [first, second, third, fourth, fifth] = bounds;
        #[rustfmt::skip]
        let values = params![
            range.id_scope, range.after, range.last, first, second, third, fourth, fifth, key_type,
        ];
        let counted = self.all(sql, values, |row| {
            each(read(row)?, row.get_ref(7)?.as_blob()?);
            Ok(())
        });
        counted.map(drop)
    }

    /// Calls `each` with how devices proved themselves, as their registrations remember it.
    pub fn each_registration_detail(
        &self,
        range: CountedRange<'_>,
        mut each: impl FnMut(Option<&str>),
    ) -> Result<(), StoreError> {
        let sql = "SELECT detail FROM registrations
                   WHERE +id_scope = ?1 AND id > ?2 AND id <= ?3 ORDER BY id";
        let values = params![range.id_scope, range.after, range.last];
        let seen = self.all(sql, values, |row| {
            each(row.get_ref(0)?.as_str_or_null()?);
            Ok(())
        });
        seen.map(drop)
    }
}
