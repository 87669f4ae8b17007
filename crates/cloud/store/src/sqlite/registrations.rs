use rusqlite::{Row, params};

use crate::{Lock, PageRows, RegistrationRow, StoreError, Tx, View};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, folded, spelled, group_id, status, substatus, hub, device_id, error_code,
            error_message,
                    etag, payload, detail, created, updated FROM registrations ",
            $rest
        )
    };
}

fn read(row: &Row<'_>) -> rusqlite::Result<RegistrationRow> {
    Ok(RegistrationRow {
        id: row.get(0)?,
        folded: row.get(1)?,
        spelled: row.get(2)?,
        group_id: row.get(3)?,
        status: row.get(4)?,
        substatus: row.get(5)?,
        hub: row.get(6)?,
        device_id: row.get(7)?,
        error_code: row.get(8)?,
        error_message: row.get(9)?,
        etag: row.get(10)?,
        payload: row.get(11)?,
        detail: row.get(12)?,
        created: row.get(13)?,
        updated: row.get(14)?,
    })
}

impl View<'_> {
    /// The record of a folded registration id.
    pub fn registration(
        &self,
        id_scope: &str,
        folded: &str,
    ) -> Result<Option<RegistrationRow>, StoreError> {
        self.one(
            select!("WHERE id_scope = ?1 AND folded = ?2"),
            [id_scope, folded],
            read,
        )
    }

    /// The service (ID scope) and registration id that a hub device is assigned to.
    pub fn registration_of_device(
        &self,
        hub: &str,
        device_id: &str,
    ) -> Result<Option<(String, String)>, StoreError> {
        // The second half is all that `registrations_by_device` holds.
        let sql = "SELECT id_scope, spelled FROM registrations
                   WHERE id_scope IN (SELECT id_scope FROM services) AND folded = ?3 AND hub = ?1
                   AND device_id = ?2
                   UNION ALL
                   SELECT id_scope, spelled FROM registrations
                   WHERE hub = ?1 AND device_id = ?2 AND device_id <> spelled
                   LIMIT 1";
        let params = params![hub, device_id, device_id.to_ascii_lowercase()];
        self.one(sql, params, |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// Records of a group (folded) that were made after the one with the id `after`, in the order
    /// in which they were made.
    pub fn registrations_after(
        &self,
        id_scope: &str,
        group_folded: &str,
        after: i64,
        limit: usize,
    ) -> Result<PageRows<RegistrationRow>, StoreError> {
        let sql =
            select!("WHERE id_scope = ?1 AND group_folded = ?2 AND id > ?3 ORDER BY id LIMIT ?4");
        let values = params![id_scope, group_folded, after, limit + 1];
        let bytes = |row: &RegistrationRow| {
            let detail = row.detail.as_ref().map_or(0, |text| text.len());
            detail + row.payload.as_ref().map_or(0, String::len)
        };
        self.page(sql, values, limit, read, bytes)
    }
}

impl Tx<'_> {
    pub fn insert_registration(
        &self,
        id_scope: &str,
        row: &RegistrationRow,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO registrations (id_scope, folded, spelled, group_id, group_folded,
                   status, substatus, hub,
                       device_id, error_code, error_message, etag, payload, detail, created,
                       updated)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)";
        let group_folded = row.group_id.as_deref().map(str::to_ascii_lowercase);
        let (error, written) = (
            (row.error_code, &row.error_message),
            (row.created, row.updated),
        );
        let place = (&row.hub, &row.device_id);
        #[rustfmt::skip]
        let values = params![
            id_scope, row.folded, row.spelled, row.group_id, group_folded, row.status,
            row.substatus, place.0,
            place.1, error.0, error.1, row.etag, row.payload, row.detail, written.0, written.1,
        ];
        let folded = row.folded.as_str();
        self.write(Lock::Registration { id_scope, folded }, sql, values)
            .map(drop)
    }

    /// Writes all of a record but its id and creation date; it was read with the etag `before`.
    pub fn update_registration(
        &self,
        id_scope: &str,
        before: &str,
        row: &RegistrationRow,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE registrations SET group_id = ?2, group_folded = ?3, status = ?4,
                   substatus = ?5, hub = ?6,
                       device_id = ?7, error_code = ?8, error_message = ?9, etag = ?10, payload =
                       ?11, detail = ?12,
                       updated = ?13
                   WHERE id = ?1 AND etag = ?14";
        let group_folded = row.group_id.as_deref().map(str::to_ascii_lowercase);
        #[rustfmt::skip]
        let values = params![
            row.id, row.group_id, group_folded, row.status, row.substatus, row.hub,
            row.device_id, row.error_code, row.error_message, row.etag, row.payload, row.detail,
            row.updated, before,
        ];
        let folded = row.folded.as_str();
        self.write_version(Lock::Registration { id_scope, folded }, sql, values)
    }

    /// Deletes the record of a folded registration id; says whether there was one.
    pub fn delete_registration(&self, id_scope: &str, folded: &str) -> Result<bool, StoreError> {
        let sql = "DELETE FROM registrations WHERE id_scope = ?1 AND folded = ?2";
        self.write(
            Lock::Registration { id_scope, folded },
            sql,
            [id_scope, folded],
        )
        .map(|rows| rows > 0)
    }
}
