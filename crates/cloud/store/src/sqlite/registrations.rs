use ids::{DeviceId, EnrollmentId, Etag, HubName, RegistrationId};
use rusqlite::{Row, params};

use crate::sqlite::decode;
use crate::{
    DeviceLocation, DeviceOwner, ListedRow, Lock, PageRows, RegistrationRow, RegistrationStatus,
    StoreError, Substatus, Tx, View,
};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, spelled, group_id, status, substatus, hub, device_id, error_code,
                    error_message, etag, payload, detail, created, updated FROM registrations ",
            $rest
        )
    };
}

fn read(row: &Row<'_>) -> rusqlite::Result<RegistrationRow> {
    Ok(RegistrationRow {
        id: row.get(0)?,
        registration_id: decode::id(row, 1, "registration id")?,
        group: decode::optional_id(row, 2, "enrollment group id")?,
        status: decode::named(row, 3, "status", RegistrationStatus::named)?,
        substatus: decode::optional_named(row, 4, "substatus", Substatus::named)?,
        device: decode::device(row, 5, 6)?,
        error_code: row.get(7)?,
        error_message: row.get(8)?,
        etag: decode::id(row, 9, "etag")?,
        payload: row.get(10)?,
        detail: row.get(11)?,
        created: row.get(12)?,
        updated: row.get(13)?,
    })
}

impl View<'_> {
    pub fn registration(
        &self,
        id_scope: &str,
        id: &RegistrationId,
    ) -> Result<Option<RegistrationRow>, StoreError> {
        self.one(
            select!("WHERE id_scope = ?1 AND folded = ?2"),
            [id_scope, id.folded()],
            read,
        )
    }

    /// The etag of a record; also of one that cannot be read otherwise.
    pub fn registration_etag(
        &self,
        id_scope: &str,
        id: &RegistrationId,
    ) -> Result<Option<Etag>, StoreError> {
        let sql = "SELECT etag FROM registrations WHERE id_scope = ?1 AND folded = ?2";
        self.one(sql, [id_scope, id.folded()], |row| {
            decode::id(row, 0, "etag")
        })
    }

    /// The registration that a hub device is assigned to.
    pub fn registration_of_device(
        &self,
        hub: &HubName,
        device_id: &DeviceId,
    ) -> Result<Option<DeviceOwner>, StoreError> {
        // The second half is all that `registrations_by_device` holds.
        let sql = "SELECT id_scope, spelled FROM registrations
                   WHERE id_scope IN (SELECT id_scope FROM services) AND folded = ?3 AND hub = ?1
                   AND device_id = ?2
                   UNION ALL
                   SELECT id_scope, spelled FROM registrations
                   WHERE hub = ?1 AND device_id = ?2 AND device_id <> spelled
                   LIMIT 1";
        let device_id = device_id.as_str();
        let params = params![hub.as_str(), device_id, device_id.to_ascii_lowercase()];
        self.one(sql, params, |row| {
            Ok(DeviceOwner {
                id_scope: decode::id(row, 0, "ID scope")?,
                registration_id: decode::id(row, 1, "registration id")?,
            })
        })
    }

    /// Records of a group that were made after the one with the row id `after`, in the order in
    /// which they were made.
    pub fn registrations_after(
        &self,
        id_scope: &str,
        group: &EnrollmentId,
        after: i64,
        limit: usize,
    ) -> Result<PageRows<ListedRow<RegistrationRow>>, StoreError> {
        let sql =
            select!("WHERE id_scope = ?1 AND group_folded = ?2 AND id > ?3 ORDER BY id LIMIT ?4");
        let values = params![id_scope, group.folded(), after, limit + 1];
        let bytes = |listed: &ListedRow<RegistrationRow>| {
            let row = listed.row.as_ref().ok();
            let detail = row.and_then(|row| row.detail.as_ref());
            let payload = row.and_then(|row| row.payload.as_ref());
            detail.map_or(0, |text| text.len()) + payload.map_or(0, String::len)
        };
        let read_listed = |row: &Row<'_>| self.list_row(row, decode::lossy(row, 1)?, read);
        self.page(sql, values, limit, read_listed, bytes)
    }
}

impl Tx<'_> {
    pub fn insert_registration(
        &self,
        id_scope: &str,
        row: &RegistrationRow,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO registrations (id_scope, folded, spelled, group_id, group_folded,
                       status, substatus, hub, device_id, error_code, error_message, etag,
                       payload, detail, created, updated)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)";
        let id = &row.registration_id;
        let (hub, device_id) = columns(row.device.as_ref());
        #[rustfmt::skip]
        let values = params![
            id_scope, id.folded(), id.as_str(), row.group.as_ref().map(EnrollmentId::as_str),
            row.group.as_ref().map(EnrollmentId::folded), row.status.name(),
            row.substatus.map(Substatus::name), hub, device_id, row.error_code, row.error_message,
            row.etag.as_str(), row.payload, row.detail, row.created, row.updated,
        ];
        self.write(lock(id_scope, id), sql, values).map(drop)
    }

    /// Writes all of a record but its id and creation date; it was read with the etag `before`.
    pub fn update_registration(
        &self,
        id_scope: &str,
        before: &Etag,
        row: &RegistrationRow,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE registrations SET group_id = ?2, group_folded = ?3, status = ?4,
                       substatus = ?5, hub = ?6, device_id = ?7, error_code = ?8,
                       error_message = ?9, etag = ?10, payload = ?11, detail = ?12, updated = ?13
                   WHERE id = ?1 AND etag = ?14";
        let (hub, device_id) = columns(row.device.as_ref());
        #[rustfmt::skip]
        let values = params![
            row.id, row.group.as_ref().map(EnrollmentId::as_str),
            row.group.as_ref().map(EnrollmentId::folded), row.status.name(),
            row.substatus.map(Substatus::name), hub, device_id, row.error_code, row.error_message,
            row.etag.as_str(), row.payload, row.detail, row.updated, before.as_str(),
        ];
        self.write_version(lock(id_scope, &row.registration_id), sql, values)
    }

    /// Deletes a record; says whether there was one.
    pub fn delete_registration(
        &self,
        id_scope: &str,
        id: &RegistrationId,
    ) -> Result<bool, StoreError> {
        let sql = "DELETE FROM registrations WHERE id_scope = ?1 AND folded = ?2";
        self.write(lock(id_scope, id), sql, [id_scope, id.folded()])
            .map(|rows| rows > 0)
    }
}

fn columns(device: Option<&DeviceLocation>) -> (Option<&str>, Option<&str>) {
    device
        .map(|at| (at.hub.as_str(), at.device_id.as_str()))
        .unzip()
}

fn lock<'a>(id_scope: &'a str, id: &'a RegistrationId) -> Lock<'a> {
    let folded = id.folded();
    Lock::Registration { id_scope, folded }
}
