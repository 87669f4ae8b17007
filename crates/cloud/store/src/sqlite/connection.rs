use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::types::FromSql;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Params, Row};

use crate::sqlite::schema;
use crate::{ListedRow, OpenError, StoreError};

/// Statements kept compiled per connection: more than there are.
const STATEMENTS: usize = 128;

/// Opens the writer's connection; creates and migrates the database.
pub(crate) fn open_writer(file: &Arc<Path>) -> Result<Connection, OpenError> {
    create_private(file)?;
    let mut connection = open(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // Durable means on disk: the WAL is synced at every commit. 64 MiB of cache keep the upper
    // levels of the indexes. A WAL that a long scan let grow is cut to 64 MiB again. It is copied
    // to the database apart: see `checkpoint.rs`.
    let pragmas = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
                   PRAGMA cache_size = -65536; PRAGMA temp_store = MEMORY; PRAGMA
                   wal_autocheckpoint = 0; PRAGMA journal_size_limit = 67108864;";
    connection
        .execute_batch(pragmas)
        .map_err(|error| StoreError::sql("opening", file, error))?;
    schema::migrate(&mut connection, file)?;
    Ok(connection)
}

/// Opens a connection that copies the WAL to the database, and does nothing else.
pub(crate) fn open_checkpointer(file: &Arc<Path>) -> Result<Connection, OpenError> {
    let connection = open(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // The sync of the database before the WAL begins anew.
    connection
        .execute_batch("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;")
        .map_err(|error| StoreError::sql("opening", file, error))?;
    Ok(connection)
}

/// Opens a connection that cannot write.
pub(crate) fn open_reader(file: &Arc<Path>) -> Result<Connection, OpenError> {
    let connection = open(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let pragmas = "PRAGMA query_only = ON; PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY;";
    connection
        .execute_batch(pragmas)
        .map_err(|error| StoreError::sql("opening", file, error))?;
    schema::check(&connection, file)?;
    Ok(connection)
}

fn open(file: &Arc<Path>, access: OpenFlags) -> Result<Connection, StoreError> {
    // Each connection is used by one thread at a time, which is what NO_MUTEX asks for.
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = Connection::open_with_flags(file, flags).and_then(|connection| {
        connection.busy_timeout(Duration::from_secs(10))?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(connection)
    });
    opened.map_err(|error| StoreError::sql("opening", file, error))
}

/// SQLite gives its `-wal` and `-shm` files the mode of the database file.
fn create_private(file: &Path) -> Result<(), OpenError> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(file)
        .map(drop)
        .map_err(OpenError::io("creating", file))
}

/// Reads rows. What it offers is in the files of the tables: `identities.rs`, `enrollments.rs`, ….
pub struct View<'c> {
    pub(crate) connection: &'c Connection,
    pub(crate) file: &'c Arc<Path>,
    pub(crate) batch: u64,
}

impl View<'_> {
    /// A stored value that cannot be read: the file was damaged or edited. `cause` says what is
    /// wrong with it, never its content.
    #[must_use]
    pub fn damaged(&self, column: &str, cause: impl std::fmt::Display) -> StoreError {
        StoreError::damaged(self.file, format!("{column}: {cause}"))
    }

    /// A stored value that was decoded, or the error that its column is damaged.
    pub fn decoded<T>(
        &self,
        column: &str,
        decoded: Result<T, impl std::fmt::Display>,
    ) -> Result<T, StoreError> {
        decoded.map_err(|error| self.damaged(column, error))
    }

    /// Which transaction of this process a unit runs in: it sees what the units before it wrote in
    /// the same one, although nobody else does yet. Zero for readers.
    #[must_use]
    pub fn batch(&self) -> u64 {
        self.batch
    }

    /// Runs reads that belong together: all of one moment, also where each would otherwise see what
    /// was committed before it.
    pub fn at_once<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, E>,
    ) -> Result<T, E> {
        if !self.connection.is_autocommit() {
            return work(self);
        }
        let begun = self.connection.unchecked_transaction();
        // Dropping it ends it; there is nothing to roll back.
        let _moment = begun.map_err(|error| StoreError::sql("reading", self.file, error))?;
        work(self)
    }

    pub(crate) fn one<T>(
        &self,
        sql: &'static str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        let run = || {
            self.connection
                .prepare_cached(sql)?
                .query_row(params, read)
                .optional()
        };
        run().map_err(|error| StoreError::sql("reading", self.file, error))
    }

    pub(crate) fn count<N: FromSql + Default>(
        &self,
        sql: &'static str,
        params: impl Params,
    ) -> Result<N, StoreError> {
        let count = self.one(sql, params, |row| row.get(0))?;
        Ok(count.unwrap_or_default())
    }

    /// Up to `limit` rows, fewer when their documents are long; one at least. The statement asks
    /// for one more than `limit`.
    pub(crate) fn page<T>(
        &self,
        sql: &'static str,
        params: impl Params,
        limit: usize,
        read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
        bytes: impl Fn(&T) -> usize,
    ) -> Result<PageRows<T>, StoreError> {
        let run = || {
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut found = statement.query(params)?;
            let (mut rows, mut read_bytes) = (Vec::new(), 0);
            while let Some(row) = found.next()? {
                if rows.len() >= limit || read_bytes >= PAGE_BYTES {
                    return Ok(PageRows { rows, more: true });
                }
                let row = read(row)?;
                read_bytes += bytes(&row);
                rows.push(row);
            }
            Ok(PageRows { rows, more: false })
        };
        run().map_err(|error| StoreError::sql("reading", self.file, error))
    }

    pub(crate) fn all<T>(
        &self,
        sql: &'static str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let run = || {
            self.connection
                .prepare_cached(sql)?
                .query_map(params, read)?
                .collect::<rusqlite::Result<Vec<T>>>()
        };
        run().map_err(|error| StoreError::sql("reading", self.file, error))
    }

    /// Reads a row of a list whose columns begin with its id.
    pub(crate) fn list_row<T>(
        &self,
        row: &Row<'_>,
        key: String,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<ListedRow<T>> {
        Ok(ListedRow {
            id: row.get(0)?,
            key,
            row: read(row).map_err(|error| StoreError::sql("reading", self.file, error)),
        })
    }

    /// All rows, each of which may be damaged.
    pub(crate) fn each<T>(
        &self,
        sql: &'static str,
        params: impl Params,
        read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<Result<T, StoreError>>, StoreError> {
        let damaged = |error| StoreError::sql("reading", self.file, error);
        self.all(sql, params, |row| Ok(read(row).map_err(damaged)))
    }
}

/// A JSON array of texts, for `json_each` in SQL.
pub(crate) fn json_array<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    serde_json::Value::from_iter(texts).to_string()
}

/// Rows of a page, and whether there are more after them.
#[derive(Debug)]
pub struct PageRows<T> {
    pub rows: Vec<T>,
    /// Whether there are more.
    pub more: bool,
}

/// Bytes of documents after which a page ends: a thousand of the largest would be half a gigabyte,
/// and several times that when read.
const PAGE_BYTES: usize = 8 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    // B4.
    #[test]
    fn a_journal_that_grew_is_cut_again() {
        let directory = tempfile::tempdir().unwrap();
        let file: Arc<Path> = directory.path().join("muster.db").into();
        let connection = open_writer(&file).unwrap();
        let limit =
            connection.query_row("PRAGMA journal_size_limit", [], |row| row.get::<_, i64>(0));
        assert_eq!(limit.unwrap(), 64 << 20);
    }
}
