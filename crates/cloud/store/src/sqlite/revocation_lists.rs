use ids::{CertificateName, Etag, IdScope};
use rusqlite::{Row, params};

use crate::sqlite::decode;
use crate::{ListContent, ListSource, Lock, RevocationListRow, StalePolicy, StoreError, Tx, View};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, spelled, ca, stale, url, interval, number, this_update, next_update,
                 entries, stored, http_etag, http_modified, fetched, fault, etag, created, updated,
                 id_scope
             FROM revocation_lists ",
            $rest
        )
    };
}

fn read(row: &Row<'_>) -> rusqlite::Result<RevocationListRow> {
    let url: Option<String> = row.get(4)?;
    let interval: Option<u32> = row.get(5)?;
    let source = url.map(|url| ListSource {
        url,
        interval: interval.unwrap_or_default(),
    });
    let this_update: Option<i64> = row.get(7)?;
    let content = match this_update {
        None => None,
        Some(this_update) => Some(ListContent {
            number: row.get(6)?,
            this_update,
            next_update: row.get(8)?,
            entries: row.get(9)?,
            stored: row.get(10)?,
            http_etag: row.get(11)?,
            http_modified: row.get(12)?,
        }),
    };
    Ok(RevocationListRow {
        id: row.get(0)?,
        name: decode::id(row, 1, "revocation list")?,
        ca: row.get(2)?,
        stale: decode::named(row, 3, "stale", StalePolicy::named)?,
        source,
        content,
        fetched: row.get(13)?,
        fault: row.get(14)?,
        etag: decode::id(row, 15, "etag")?,
        created: row.get(16)?,
        updated: row.get(17)?,
    })
}

impl View<'_> {
    pub fn revocation_list(
        &self,
        id_scope: &str,
        name: &CertificateName,
    ) -> Result<Option<RevocationListRow>, StoreError> {
        let sql = select!("WHERE id_scope = ?1 AND folded = ?2");
        self.one(sql, [id_scope, &name.folded()], read)
    }

    /// The lists of a service, by name.
    pub fn revocation_lists(&self, id_scope: &str) -> Result<Vec<RevocationListRow>, StoreError> {
        let sql = select!("WHERE id_scope = ?1 ORDER BY folded");
        self.all(sql, [id_scope], read)
    }

    /// The lists of all services.
    pub fn all_revocation_lists(&self) -> Result<Vec<(IdScope, RevocationListRow)>, StoreError> {
        let sql = select!("ORDER BY id");
        self.all(sql, [], |row| {
            Ok((decode::id(row, 18, "ID scope")?, read(row)?))
        })
    }

    pub fn revocation_list_count(&self, id_scope: &str) -> Result<usize, StoreError> {
        let sql = "SELECT count(*) FROM revocation_lists WHERE id_scope = ?1";
        self.count(sql, [id_scope])
    }

    /// The list as its CA signed it, DER.
    pub fn revocation_list_der(&self, list: i64) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT der FROM revocation_list_contents WHERE list = ?1";
        self.one(sql, [list], |row| row.get(0))
    }
}

impl Tx<'_> {
    /// Adds a list without entries; its row id.
    pub fn insert_revocation_list(
        &self,
        id_scope: &str,
        row: &RevocationListRow,
    ) -> Result<i64, StoreError> {
        let sql = "INSERT INTO revocation_lists (id_scope, folded, spelled, ca, stale, url,
                       interval, fetched, fault, etag, created, updated)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
        let source = row.source.as_ref();
        #[rustfmt::skip]
        let values = params![
            id_scope, row.name.folded(), row.name.as_str(), row.ca, row.stale.name(),
            source.map(|source| source.url.as_str()), source.map(|source| source.interval),
            row.fetched, row.fault, row.etag.as_str(), row.created, row.updated,
        ];
        self.write(Lock::Service { id_scope }, sql, values)?;
        Ok(self.last_row())
    }

    /// Writes all of a list but its content; it was read with the etag `before`.
    pub fn update_revocation_list(
        &self,
        id_scope: &str,
        before: &Etag,
        row: &RevocationListRow,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE revocation_lists SET ca = ?3, stale = ?4, url = ?5, interval = ?6,
                       fetched = ?7, fault = ?8, etag = ?9, updated = ?10, spelled = ?11
                   WHERE id = ?1 AND etag = ?2";
        let source = row.source.as_ref();
        #[rustfmt::skip]
        let values = params![
            row.id, before.as_str(), row.ca, row.stale.name(),
            source.map(|source| source.url.as_str()), source.map(|source| source.interval),
            row.fetched, row.fault, row.etag.as_str(), row.updated, row.name.as_str(),
        ];
        self.write_version(Lock::Service { id_scope }, sql, values)
    }

    /// Replaces the content of a list.
    pub fn put_revocation_list_content(
        &self,
        id_scope: &str,
        list: i64,
        content: &ListContent,
        der: &[u8],
    ) -> Result<(), StoreError> {
        let sql = "UPDATE revocation_lists SET number = ?2, this_update = ?3, next_update = ?4,
                       entries = ?5, stored = ?6, http_etag = ?7, http_modified = ?8
                   WHERE id = ?1";
        #[rustfmt::skip]
        let values = params![
            list, content.number, content.this_update, content.next_update, content.entries,
            content.stored, content.http_etag, content.http_modified,
        ];
        self.write(Lock::Service { id_scope }, sql, values)?;
        let sql = "INSERT INTO revocation_list_contents (list, der) VALUES (?1, ?2)
                   ON CONFLICT (list) DO UPDATE SET der = excluded.der";
        self.write(Lock::Service { id_scope }, sql, params![list, der])
            .map(drop)
    }

    /// Forgets what the server of a list called the version that it sent.
    pub fn clear_revocation_list_version(
        &self,
        id_scope: &str,
        list: i64,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE revocation_lists SET http_etag = NULL, http_modified = NULL
                   WHERE id = ?1";
        self.write(Lock::Service { id_scope }, sql, [list])
            .map(drop)
    }

    /// Forgets the content of a list, which is of another CA.
    pub fn clear_revocation_list_content(
        &self,
        id_scope: &str,
        list: i64,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE revocation_lists SET number = NULL, this_update = NULL,
                       next_update = NULL, entries = NULL, stored = NULL, http_etag = NULL,
                       http_modified = NULL
                   WHERE id = ?1";
        self.write(Lock::Service { id_scope }, sql, [list])?;
        let sql = "DELETE FROM revocation_list_contents WHERE list = ?1";
        self.write(Lock::Service { id_scope }, sql, [list])
            .map(drop)
    }

    pub fn delete_revocation_list(
        &self,
        id_scope: &str,
        row: &RevocationListRow,
    ) -> Result<(), StoreError> {
        // Its content first: the rehearsal compares what is written by table.
        let sql = "DELETE FROM revocation_list_contents WHERE list = ?1";
        self.write(Lock::Service { id_scope }, sql, [row.id])?;
        let sql = "DELETE FROM revocation_lists WHERE id = ?1 AND etag = ?2";
        let values = params![row.id, row.etag.as_str()];
        self.write_version(Lock::Service { id_scope }, sql, values)
    }
}
