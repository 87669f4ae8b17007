use rusqlite::{Row, params};

use crate::sqlite::decode;
use crate::{EndpointCursorRow, Lock, RoutingRow, StoreError, Tx, View};

fn read_cursor(row: &Row<'_>) -> rusqlite::Result<EndpointCursorRow> {
    Ok(EndpointCursorRow {
        endpoint: decode::id(row, 0, "endpoint")?,
        position: row.get(1)?,
        delivered: row.get(2)?,
        dead_lettered: row.get(3)?,
        missed: row.get(4)?,
    })
}

impl View<'_> {
    /// The routing of a hub; none when it was never written.
    pub fn routing(&self, hub: &str) -> Result<Option<RoutingRow>, StoreError> {
        let sql = "SELECT revision, document, updated FROM hub_routing WHERE hub = ?1";
        self.one(sql, [hub], |row| {
            Ok(RoutingRow {
                revision: row.get(0)?,
                document: row.get(1)?,
                updated: row.get(2)?,
            })
        })
    }

    /// The cursors of a hub's endpoints, by name. Each may be damaged.
    pub fn endpoint_cursors(
        &self,
        hub: &str,
    ) -> Result<Vec<Result<EndpointCursorRow, StoreError>>, StoreError> {
        let sql = "SELECT endpoint, position, delivered, dead_lettered, missed
                   FROM endpoint_cursors WHERE hub = ?1 ORDER BY endpoint";
        self.each(sql, [hub], read_cursor)
    }

    /// How many endpoints and consumer groups of a hub are further than its event log.
    pub fn readers_ahead(&self, hub: &str, last: u64) -> Result<u64, StoreError> {
        let sql = "SELECT (SELECT count(*) FROM endpoint_cursors
                           WHERE hub = ?1 AND position > ?2)
                        + (SELECT count(*) FROM consumer_groups
                           WHERE hub = ?1 AND position > ?2)";
        self.count(sql, params![hub, last])
    }
}

impl Tx<'_> {
    /// Writes the first routing of a hub.
    pub fn insert_routing(&self, hub: &str, row: &RoutingRow) -> Result<(), StoreError> {
        let sql = "INSERT INTO hub_routing (hub, revision, document, updated)
                   VALUES (?1, ?2, ?3, ?4)";
        let values = params![hub, row.revision, row.document, row.updated];
        self.write(Lock::Hub { hub }, sql, values).map(drop)
    }

    /// Writes the next version of a hub's routing.
    pub fn update_routing(&self, hub: &str, row: &RoutingRow) -> Result<(), StoreError> {
        let sql = "UPDATE hub_routing SET revision = ?2, document = ?3, updated = ?4
                   WHERE hub = ?1 AND revision = ?2 - 1";
        let values = params![hub, row.revision, row.document, row.updated];
        self.write_version(Lock::Hub { hub }, sql, values)
    }

    /// Takes the endpoints and consumer groups that are further than the event log of their hub to
    /// its end: they have had what is in it, and get what is appended next.
    pub fn rewind_readers(&self, hub: &str, last: u64) -> Result<(), StoreError> {
        for sql in [
            "UPDATE endpoint_cursors SET position = ?2 WHERE hub = ?1 AND position > ?2",
            "UPDATE consumer_groups SET position = ?2 WHERE hub = ?1 AND position > ?2",
        ] {
            self.write(Lock::Hub { hub }, sql, params![hub, last])?;
        }
        Ok(())
    }

    /// Writes the cursor of a new endpoint. A damaged row of its name is replaced.
    pub fn insert_endpoint_cursor(
        &self,
        hub: &str,
        row: &EndpointCursorRow,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO endpoint_cursors
                       (hub, endpoint, position, delivered, dead_lettered, missed)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                   ON CONFLICT (hub, endpoint) DO UPDATE SET position = excluded.position,
                       delivered = excluded.delivered, dead_lettered = excluded.dead_lettered,
                       missed = excluded.missed";
        #[rustfmt::skip]
        let values = params![
            hub, row.endpoint.as_str(), row.position, row.delivered, row.dead_lettered, row.missed,
        ];
        self.write(Lock::Hub { hub }, sql, values).map(drop)
    }

    /// Moves a cursor forward. Nothing happens when the endpoint is gone, or when the cursor is
    /// there already.
    pub fn advance_endpoint_cursor(
        &self,
        hub: &str,
        row: &EndpointCursorRow,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE endpoint_cursors
                   SET position = ?3, delivered = ?4, dead_lettered = ?5, missed = ?6
                   WHERE hub = ?1 AND endpoint = ?2 AND position < ?3";
        #[rustfmt::skip]
        let values = params![
            hub, row.endpoint.as_str(), row.position, row.delivered, row.dead_lettered, row.missed,
        ];
        self.write(Lock::Hub { hub }, sql, values).map(drop)
    }

    pub fn delete_endpoint_cursor(&self, hub: &str, endpoint: &str) -> Result<(), StoreError> {
        let sql = "DELETE FROM endpoint_cursors WHERE hub = ?1 AND endpoint = ?2";
        self.write(Lock::Hub { hub }, sql, [hub, endpoint])
            .map(drop)
    }
}
