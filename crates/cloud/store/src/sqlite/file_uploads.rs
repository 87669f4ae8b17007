use rusqlite::{Row, params};

use crate::rows::FileUploadRow;
use crate::sqlite::decode;
use crate::{Lock, StoreError, Tx, View};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT i.hub, i.device_id, u.correlation_id, u.blob_name, u.signing_key, u.expires
             FROM file_uploads AS u JOIN identities AS i ON i.id = u.identity ",
            $rest
        )
    };
}

fn read(row: &Row<'_>) -> rusqlite::Result<FileUploadRow> {
    Ok(FileUploadRow {
        hub: decode::id(row, 0, "hub")?,
        device_id: decode::id(row, 1, "device id")?,
        correlation_id: row.get(2)?,
        blob_name: row.get(3)?,
        key: row.get(4)?,
        expires: row.get(5)?,
    })
}

impl View<'_> {
    pub fn file_upload(&self, correlation_id: &str) -> Result<Option<FileUploadRow>, StoreError> {
        let sql = select!("WHERE u.correlation_id = ?1");
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
    ) -> Result<Vec<FileUploadRow>, StoreError> {
        let sql = select!("WHERE u.expires <= ?1 ORDER BY u.expires LIMIT ?2");
        self.all(sql, params![now, limit], read)
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

    pub fn delete_file_upload(&self, row: &FileUploadRow) -> Result<(), StoreError> {
        let sql = "DELETE FROM file_uploads WHERE correlation_id = ?1";
        self.write_version(lock(row), sql, [&row.correlation_id])
    }
}

fn lock(row: &FileUploadRow) -> Lock<'_> {
    Lock::device(&row.hub, &row.device_id)
}
