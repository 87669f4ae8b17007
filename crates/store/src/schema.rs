use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;

use crate::{OpenError, StoreError};

/// The migrations in order: folder name and `up.sql`.
const MIGRATIONS: &[(&str, &str)] = &[
    (
        "0001-the-first-shape",
        include_str!("../migrations/0001-the-first-shape/up.sql"),
    ),
    (
        "0002-hubs-and-services",
        include_str!("../migrations/0002-hubs-and-services/up.sql"),
    ),
];

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
            transaction.pragma_update(None, "user_version", number)?;
            transaction.commit()
        };
        run().map_err(|error| StoreError::sql("migrating", file, error))?;
        tracing::info!(migration = name, "the database has been migrated");
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
mod tests {
    use super::*;

    fn shape(connection: &Connection) -> Vec<(String, String)> {
        let mut statement = connection
            .prepare("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name")
            .unwrap();
        let rows = statement
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap();
        rows.map(Result::unwrap).collect()
    }

    #[test]
    fn schema_sql_is_the_sum_of_the_migrations() {
        let file: Arc<Path> = Path::new(":memory:").into();
        let mut migrated = Connection::open_in_memory().unwrap();
        migrate(&mut migrated, &file).unwrap();
        let written = Connection::open_in_memory().unwrap();
        written
            .execute_batch(include_str!("../schema.sql"))
            .unwrap();
        assert_eq!(shape(&migrated), shape(&written));
        assert!(shape(&migrated).len() > 10);
    }

    #[test]
    fn every_migration_folder_is_listed() {
        let folders =
            std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations")).unwrap();
        let mut names: Vec<_> = folders
            .map(Result::unwrap)
            .filter(|entry| entry.path().is_dir())
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        names.sort();
        let listed: Vec<_> = MIGRATIONS.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, listed);
    }
}
