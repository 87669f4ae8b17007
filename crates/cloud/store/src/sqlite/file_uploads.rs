use rusqlite::{Row, params};

use crate::rows::{ExpiredUploadRow, FileUploadRow, OpenUploadRow, WrittenFileRow};
use crate::sqlite::decode;
use crate::{Lock, StoreError, Tx, View};

fn read(row: &Row<'_>) -> rusqlite::Result<OpenUploadRow> {
    let (bytes, modified): (Option<u64>, Option<i64>) = (row.get(7)?, row.get(8)?);
    let written = bytes.zip(modified);
    let upload = FileUploadRow {
        hub: decode::id(row, 0, "hub")?,
        device_id: decode::id(row, 1, "device id")?,
        correlation_id: row.get(2)?,
        blob_name: row.get(3)?,
        key: row.get(4)?,
        expires: row.get(5)?,
    };
    Ok(OpenUploadRow {
        upload,
        enabled: row.get(6)?,
        written: written.map(|(bytes, modified)| WrittenFileRow { bytes, modified }),
    })
}

impl View<'_> {
    pub fn file_upload(&self, correlation_id: &str) -> Result<Option<OpenUploadRow>, StoreError> {
        let sql = "SELECT i.hub, i.device_id, u.correlation_id, u.blob_name, u.signing_key,
                       u.expires, i.enabled, u.bytes, u.modified
                   FROM file_uploads AS u JOIN identities AS i ON i.id = u.identity
                   WHERE u.correlation_id = ?1";
        self.one(sql, [correlation_id], read)
    }

    /// How many uploads of a device have not expired.
    pub fn count_file_uploads(
        &self,
        (hub, device_id): (&str, &str),
        now: i64,
    ) -> Result<usize, StoreError> {
        let sql = "SELECT count(*) FROM file_uploads AS u JOIN identities AS i
                   ON i.id = u.identity
                   WHERE i.hub = ?1 AND i.device_id = ?2 AND i.module_id = '' AND u.expires > ?3";
        let count: Option<usize> = self.one(sql, params![hub, device_id, now], |row| row.get(0))?;
        Ok(count.unwrap_or(0))
    }

    /// Uploads of all devices that have expired, the longest expired first.
    pub fn expired_file_uploads(
        &self,
        now: i64,
        limit: usize,
    ) -> Result<Vec<Result<ExpiredUploadRow, StoreError>>, StoreError> {
        let sql = "SELECT i.hub, i.device_id, u.correlation_id
                   FROM file_uploads AS u JOIN identities AS i ON i.id = u.identity
                   WHERE u.expires <= ?1 ORDER BY u.expires LIMIT ?2";
        self.each(sql, params![now, limit], |row| {
            Ok(ExpiredUploadRow {
                hub: row.get(0)?,
                device_id: row.get(1)?,
                correlation_id: row.get(2)?,
            })
        })
    }
}

impl Tx<'_> {
    /// Nothing happens when there is no such device.
    pub fn insert_file_upload(&self, row: &FileUploadRow) -> Result<(), StoreError> {
        let sql = "INSERT INTO file_uploads (correlation_id, identity, blob_name, signing_key,
                       expires)
                   SELECT ?3, id, ?4, ?5, ?6 FROM identities
                   WHERE hub = ?1 AND device_id = ?2 AND module_id = ''";
        let values = params![
            row.hub.as_str(),
            row.device_id.as_str(),
            row.correlation_id,
            row.blob_name,
            row.key,
            row.expires,
        ];
        self.write(lock(row), sql, values).map(drop)
    }

    pub fn update_written_file(
        &self,
        row: &FileUploadRow,
        written: WrittenFileRow,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE file_uploads SET bytes = ?2, modified = ?3 WHERE correlation_id = ?1";
        let values = params![row.correlation_id, written.bytes, written.modified];
        self.write_version(lock(row), sql, values)
    }

    pub fn delete_file_upload(&self, row: &FileUploadRow) -> Result<(), StoreError> {
        let sql = "DELETE FROM file_uploads WHERE correlation_id = ?1";
        self.write_version(lock(row), sql, [&row.correlation_id])
    }

    /// Nothing happens when it has ended, or its device is another by now.
    pub fn delete_expired_file_upload(&self, row: &ExpiredUploadRow) -> Result<(), StoreError> {
        let sql = "DELETE FROM file_uploads WHERE correlation_id = ?1 AND identity IN
                   (SELECT id FROM identities WHERE hub = ?2 AND device_id = ?3)";
        let values = [&row.correlation_id, &row.hub, &row.device_id];
        let (hub, device_id) = (row.hub.as_str(), row.device_id.as_str());
        self.write(Lock::Device { hub, device_id }, sql, values)
            .map(drop)
    }
}

fn lock(row: &FileUploadRow) -> Lock<'_> {
    Lock::device(&row.hub, &row.device_id)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use rusqlite::Connection;

    use super::*;
    use crate::sqlite::schema;
    use crate::{IdentityRow, Secret, TwinRow};

    #[test]
    fn a_device_that_moves_to_another_hub_leaves_its_uploads() {
        let file: Arc<Path> = Path::new(":memory:").into();
        let mut connection = Connection::open_in_memory().unwrap();
        schema::migrate(&mut connection, &file).unwrap();
        let tx = Tx::new(&connection, &file, 1);
        for id in ["moves", "stays"] {
            let device = IdentityRow::example("h", id, None);
            tx.insert_identity(&device, &TwinRow::default()).unwrap();
            let row = FileUploadRow {
                hub: "h".parse().unwrap(),
                device_id: id.parse().unwrap(),
                correlation_id: id.to_owned(),
                blob_name: "a".to_owned(),
                key: Secret::new("a2V5"),
                expires: 1,
            };
            tx.insert_file_upload(&row).unwrap();
        }
        let (h, moves) = ("h".parse().unwrap(), "moves".parse().unwrap());
        let other = "other".parse().unwrap();
        tx.move_device((&h, &moves), (&other, &moves)).unwrap();
        assert_eq!(tx.file_upload("moves").unwrap(), None);
        assert!(tx.file_upload("stays").unwrap().is_some());
    }
}
