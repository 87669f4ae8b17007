use ids::{HubHost, HubName};
use rusqlite::params;

use crate::sqlite::decode;
use crate::{FormerHostRow, Lock, StoreError, Tx, View};

/// How a former host is written: in lower case, without a port.
fn stored(host: &HubHost) -> String {
    host.name().to_ascii_lowercase()
}

impl View<'_> {
    /// Every former host name, the latest first.
    pub fn former_hosts(&self) -> Result<Vec<FormerHostRow>, StoreError> {
        let sql = "SELECT host, hub FROM former_hosts ORDER BY until DESC, rowid DESC";
        self.all(sql, [], |row| {
            Ok(FormerHostRow {
                host: decode::id(row, 0, "former host")?,
                hub: decode::optional_id(row, 1, "hub")?,
            })
        })
    }
}

impl Tx<'_> {
    /// Remembers that a host name was given up at `until`, and keeps the latest `most` of all.
    pub fn put_former_host(
        &self,
        former: &FormerHostRow,
        until: i64,
        most: usize,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO former_hosts (host, hub, until) VALUES (?1, ?2, ?3)
                   ON CONFLICT (host) DO UPDATE SET hub = excluded.hub, until = excluded.until";
        self.write(
            Lock::Directory,
            sql,
            params![
                stored(&former.host),
                former.hub.as_ref().map(HubName::as_str),
                until
            ],
        )?;
        let sql = "DELETE FROM former_hosts WHERE host NOT IN
                       (SELECT host FROM former_hosts ORDER BY until DESC, rowid DESC LIMIT ?1)";
        self.write(
            Lock::Directory,
            sql,
            params![i64::try_from(most).unwrap_or(i64::MAX)],
        )
        .map(drop)
    }

    /// Forgets a former host name, because a hub has it now.
    pub fn delete_former_host(&self, host: &HubHost) -> Result<(), StoreError> {
        self.write(
            Lock::Directory,
            "DELETE FROM former_hosts WHERE host = ?1",
            [stored(host)],
        )
        .map(drop)
    }

    /// Keeps the former host names of a hub that is deleted.
    pub fn orphan_former_hosts(&self, hub: &HubName) -> Result<(), StoreError> {
        self.write(
            Lock::Directory,
            "UPDATE former_hosts SET hub = NULL WHERE hub = ?1",
            [hub.as_str()],
        )
        .map(drop)
    }
}
