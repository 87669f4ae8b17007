use ids::{DeviceId, HubName};
use rusqlite::{Connection, Row, params};

use crate::rows::tag_entries;
use crate::{
    IdentityKey, IdentityKind, IdentityRow, Lock, StoreError, TagEntry, TagRange, TagValue, Tx,
    View,
};

/// The columns that a range compares.
macro_rules! in_range {
    () => {
        "hub = ?1 AND of_module = ?2 AND path = ?3 AND value >= ?4 AND value <= ?5"
    };
}

/// Tags as JSON, `NULL` when they are not in the index: too long, or damaged.
macro_rules! readable_tags {
    () => {
        "CASE WHEN length(tags) <= 262144 AND json_valid(tags, 9) THEN json(tags) END"
    };
}

/// What the index has of a row.
enum Indexed {
    Entries(Vec<(String, TagValue)>),
    /// The tags cannot be read: what was indexed of them is not known.
    Unknown,
}

impl Indexed {
    fn read(row: &Row<'_>, index: usize) -> rusqlite::Result<Self> {
        let tags: Option<String> = row.get(index)?;
        Ok(match tags {
            Some(tags) => Self::Entries(tag_entries(&tags)),
            None => Self::Unknown,
        })
    }
}

const INSERT: &str = "INSERT INTO tag_values (hub, of_module, path, value, identity)
                      VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING";

impl View<'_> {
    /// Entries of a range after one, in order.
    pub fn tag_entries(
        &self,
        (hub, kind): (&HubName, IdentityKind),
        range: &TagRange,
        after: Option<&TagEntry>,
        limit: usize,
    ) -> Result<Vec<TagEntry>, StoreError> {
        let sql = concat!(
            "SELECT value, identity FROM tag_values WHERE ",
            in_range!(),
            " AND (value, identity) > (?6, ?7) ORDER BY value, identity LIMIT ?8"
        );
        // No row has a number below 1, and every value begins with a digit.
        let (value, identity) =
            after.map_or(("", 0), |after| (after.value.as_str(), after.identity));
        let from = range.from.as_str().max(value);
        let values = params![
            hub.as_str(),
            kind == IdentityKind::Module,
            range.path,
            from,
            range.to.as_str(),
            value,
            identity,
            limit
        ];
        self.all(sql, values, |row| {
            Ok(TagEntry {
                value: TagValue::stored(row.get(0)?),
                identity: row.get(1)?,
            })
        })
    }

    /// How many entries a range has, counted up to a limit.
    pub fn count_tag_entries(
        &self,
        (hub, kind): (&HubName, IdentityKind),
        range: &TagRange,
        limit: u64,
    ) -> Result<u64, StoreError> {
        let sql = concat!(
            "SELECT count(*) FROM (SELECT 1 FROM tag_values WHERE ",
            in_range!(),
            " LIMIT ?6)"
        );
        let values = params![
            hub.as_str(),
            kind == IdentityKind::Module,
            range.path,
            range.from.as_str(),
            range.to.as_str(),
            limit
        ];
        let count = self.one(sql, values, |row| row.get(0))?;
        Ok(count.unwrap_or_default())
    }

    /// What the index has of a row.
    fn indexed(&self, identity: i64) -> Result<Indexed, StoreError> {
        let sql = concat!(
            "SELECT ",
            readable_tags!(),
            " FROM identities WHERE id = ?1 AND tags IS NOT NULL"
        );
        let found = self.one(sql, [identity], |row| Indexed::read(row, 0))?;
        Ok(found.unwrap_or(Indexed::Entries(Vec::new())))
    }

    /// Those of a device and its modules that have tags: row, whether it is a module, entries.
    fn indexed_of_device(
        &self,
        hub: &str,
        device_id: &str,
    ) -> Result<Vec<(i64, bool, Indexed)>, StoreError> {
        let sql = concat!(
            "SELECT id, module_id > '', ",
            readable_tags!(),
            " FROM identities WHERE hub = ?1 AND device_id = ?2 AND tags IS NOT NULL"
        );
        self.all(sql, [hub, device_id], |row| {
            Ok((row.get(0)?, row.get(1)?, Indexed::read(row, 2)?))
        })
    }
}

impl Tx<'_> {
    /// Indexes the tags of the row that was inserted last.
    pub(super) fn index_inserted(&self, row: &IdentityRow, tags: &str) -> Result<(), StoreError> {
        let lock = super::identities::lock(row);
        let (of_module, identity) = (row.module_id.is_some(), self.last_row());
        for (path, value) in tag_entries(tags) {
            let values = params![row.hub.as_str(), of_module, path, value.as_str(), identity];
            self.write(lock, INSERT, values)?;
        }
        Ok(())
    }

    /// Indexes the tags that a row is about to get in place of those that it has.
    pub(super) fn reindex(
        &self,
        key: IdentityKey<'_>,
        identity: i64,
        tags: Option<&str>,
    ) -> Result<(), StoreError> {
        let lock = Lock::device(key.hub, key.device_id);
        let (hub, of_module) = (key.hub.as_str(), key.module_id.is_some());
        let before = match self.indexed(identity)? {
            Indexed::Entries(entries) => entries,
            Indexed::Unknown => {
                self.unindex_row(lock, (hub, of_module, identity))?;
                Vec::new()
            }
        };
        let now = tags.map(tag_entries).unwrap_or_default();
        let gone = before.iter().filter(|entry| !now.contains(entry));
        for (path, value) in gone {
            self.unindex(lock, (hub, of_module, identity), path, value)?;
        }
        for (path, value) in now.iter().filter(|entry| !before.contains(entry)) {
            let values = params![hub, of_module, path, value.as_str(), identity];
            self.write(lock, INSERT, values)?;
        }
        Ok(())
    }

    fn unindex(
        &self,
        lock: Lock<'_>,
        (hub, of_module, identity): (&str, bool, i64),
        path: &str,
        value: &TagValue,
    ) -> Result<(), StoreError> {
        let sql = "DELETE FROM tag_values WHERE hub = ?1 AND of_module = ?2 AND path = ?3
                   AND value = ?4 AND identity = ?5";
        let values = params![hub, of_module, path, value.as_str(), identity];
        self.write(lock, sql, values).map(drop)
    }

    /// Deletes every entry of a row, and looks at all of the hub for them. None may stay: a later
    /// device may get the number of the row.
    fn unindex_row(
        &self,
        lock: Lock<'_>,
        (hub, of_module, identity): (&str, bool, i64),
    ) -> Result<(), StoreError> {
        let sql = "DELETE FROM tag_values WHERE hub = ?1 AND of_module = ?2 AND identity = ?3";
        let values = params![hub, of_module, identity];
        self.write(lock, sql, values).map(drop)
    }

    /// Takes a device and its modules out of the index, before they are deleted.
    pub(super) fn unindex_device(
        &self,
        hub: &HubName,
        device_id: &DeviceId,
    ) -> Result<(), StoreError> {
        let lock = Lock::device(hub, device_id);
        let (hub, device_id) = (hub.as_str(), device_id.as_str());
        for (identity, of_module, indexed) in self.indexed_of_device(hub, device_id)? {
            let row = (hub, of_module, identity);
            match indexed {
                Indexed::Entries(entries) => {
                    for (path, value) in entries {
                        self.unindex(lock, row, &path, &value)?;
                    }
                }
                Indexed::Unknown => self.unindex_row(lock, row)?,
            }
        }
        Ok(())
    }

    /// Moves the entries of a device and its modules to another hub. Tags that cannot be read have
    /// none there.
    pub(super) fn move_index(
        &self,
        (hub, device_id): (&HubName, &DeviceId),
        to: &HubName,
    ) -> Result<(), StoreError> {
        if hub == to {
            return Ok(());
        }
        let lock = Lock::device(hub, device_id);
        let (hub, device_id, to) = (hub.as_str(), device_id.as_str(), to.as_str());
        for (identity, of_module, indexed) in self.indexed_of_device(hub, device_id)? {
            let row = (hub, of_module, identity);
            let Indexed::Entries(entries) = indexed else {
                self.unindex_row(lock, row)?;
                continue;
            };
            for (path, value) in entries {
                self.unindex(lock, row, &path, &value)?;
                let values = params![to, of_module, path, value.as_str(), identity];
                self.write(lock, INSERT, values)?;
            }
        }
        Ok(())
    }
}

/// Indexes the tags of every row: the part of a migration that SQL alone cannot do. A row whose tags
/// cannot be read is left out, as queries leave it out.
pub(super) fn index_all(connection: &Connection) -> rusqlite::Result<()> {
    let sql = concat!(
        "SELECT id, hub, module_id > '', ",
        readable_tags!(),
        " FROM identities WHERE tags IS NOT NULL"
    );
    let mut rows = connection.prepare(sql)?;
    let mut rows = rows.query([])?;
    let mut insert = connection.prepare(INSERT)?;
    while let Some(row) = rows.next()? {
        let (identity, hub): (i64, String) = (row.get(0)?, row.get(1)?);
        let (of_module, indexed): (bool, _) = (row.get(2)?, Indexed::read(row, 3)?);
        let Indexed::Entries(entries) = indexed else {
            continue;
        };
        for (path, value) in entries {
            insert.execute(params![hub, of_module, path, value.as_str(), identity])?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
