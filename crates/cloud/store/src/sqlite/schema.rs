use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;

use super::tag_values;
use crate::{OpenError, StoreError};

/// The migrations in order: folder name and `up.sql`.
const MIGRATIONS: &[(&str, &str)] = include!("../../migrations/list.rs");

/// The migration whose table is filled by this program.
const TAGS_ARE_INDEXED: &str = "0017-tags-are-indexed";

/// The schema that this program knows.
fn known() -> u32 {
    u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX)
}

/// Runs the migrations that the database lacks, each in a transaction.
pub(crate) fn migrate(connection: &mut Connection, file: &Arc<Path>) -> Result<(), OpenError> {
    let found = check(connection, file)?;
    for (number, (name, sql)) in (1u32..).zip(MIGRATIONS).skip(found as usize) {
        let mut run = || -> rusqlite::Result<()> {
            let transaction = connection.transaction()?;
            transaction.execute_batch(sql)?;
            if *name == TAGS_ARE_INDEXED {
                tag_values::index_all(&transaction)?;
            }
            transaction.pragma_update(None, "user_version", number)?;
            transaction.commit()
        };
        run().map_err(|error| StoreError::sql("migrating", file, error))?;
        tracing::debug!(migration = name, "a migration has run");
    }
    match (found, known()) {
        (0, to) => tracing::info!(schema = to, "the database has been created"),
        (from, to) if from < to => {
            tracing::info!(schema = to, from, "the database has been migrated");
        }
        _ => {}
    }
    Ok(())
}

/// The schema of the database, when it is not newer than what is known.
pub(crate) fn check(connection: &Connection, file: &Arc<Path>) -> Result<u32, OpenError> {
    let found: u32 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(|error| StoreError::sql("reading", file, error))?;
    match found > known() {
        true => Err(OpenError::TooNew {
            file: file.to_path_buf(),
            found,
            known: known(),
        }),
        false => Ok(found),
    }
}

#[cfg(test)]
mod tests;
