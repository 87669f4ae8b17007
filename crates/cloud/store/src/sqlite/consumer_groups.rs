use rusqlite::{Row, params};

use crate::sqlite::decode;
use crate::{ConsumerGroupRow, Lock, StoreError, Tx, View};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT name, created, position, checkpointed FROM consumer_groups ",
            $rest
        )
    };
}

fn read(row: &Row<'_>) -> rusqlite::Result<ConsumerGroupRow> {
    let (position, at): (Option<u64>, Option<i64>) = (row.get(2)?, row.get(3)?);
    Ok(ConsumerGroupRow {
        name: decode::id(row, 0, "consumer group")?,
        created: row.get(1)?,
        checkpoint: position.zip(at),
    })
}

impl View<'_> {
    /// The consumer groups of a hub, by name. Each may be damaged.
    pub fn consumer_groups(
        &self,
        hub: &str,
    ) -> Result<Vec<Result<ConsumerGroupRow, StoreError>>, StoreError> {
        self.each(select!("WHERE hub = ?1 ORDER BY name"), [hub], read)
    }
}

impl Tx<'_> {
    /// Writes a group that is not there. A damaged row of its name is replaced.
    pub fn insert_consumer_group(
        &self,
        hub: &str,
        row: &ConsumerGroupRow,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO consumer_groups (hub, name, created, position, checkpointed)
                   VALUES (?1, ?2, ?3, ?4, ?5)
                   ON CONFLICT (hub, name) DO UPDATE SET created = excluded.created,
                       position = excluded.position, checkpointed = excluded.checkpointed";
        let (position, at) = row.checkpoint.unzip();
        let values = params![hub, row.name.as_str(), row.created, position, at];
        self.write(Lock::Hub { hub }, sql, values).map(drop)
    }

    /// Writes the checkpoint of a group that exists.
    pub fn update_checkpoint(&self, hub: &str, row: &ConsumerGroupRow) -> Result<(), StoreError> {
        let sql = "UPDATE consumer_groups SET position = ?3, checkpointed = ?4
                   WHERE hub = ?1 AND name = ?2";
        let (position, at) = row.checkpoint.unzip();
        let values = params![hub, row.name.as_str(), position, at];
        self.write_version(Lock::Hub { hub }, sql, values)
    }

    pub fn delete_consumer_group(&self, hub: &str, name: &str) -> Result<(), StoreError> {
        let sql = "DELETE FROM consumer_groups WHERE hub = ?1 AND name = ?2";
        self.write_version(Lock::Hub { hub }, sql, [hub, name])
    }
}
