use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;

use crate::{OpenError, StoreError};

/// The migrations in order: folder name and `up.sql`.
const MIGRATIONS: &[(&str, &str)] = include!("../../migrations/list.rs");

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
mod tests {
    use super::*;

    fn texts(connection: &Connection, sql: &str) -> Vec<String> {
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }

    /// Columns, keys and indexes, a line each. Not the text of the tables: `ALTER TABLE` adds
    /// columns to it in a place where `CREATE TABLE` does not take them.
    fn shape(connection: &Connection) -> Vec<String> {
        let columns = "SELECT m.name || '.' || c.name || ' ' || c.type || ' ' || c.\"notnull\" ||
                       ' ' || c.pk || ' '
                         || coalesce(c.dflt_value, '') FROM sqlite_master AS m,
                         pragma_table_xinfo(m.name) AS c
                       WHERE m.type = 'table' ORDER BY 1";
        let keys = "SELECT m.name || ' ' || l.\"unique\" || ' ' || (SELECT
                    group_concat(coalesce(i.name, 'expression'))
                      FROM pragma_index_info(l.name) AS i) FROM sqlite_master AS m,
                      pragma_index_list(m.name) AS l
                    WHERE m.type = 'table' ORDER BY 1";
        let indexes =
            "SELECT sql FROM sqlite_master WHERE type <> 'table' AND sql IS NOT NULL ORDER BY name";
        [columns, keys, indexes]
            .into_iter()
            .flat_map(|sql| texts(connection, sql))
            .collect()
    }

    #[test]
    fn schema_sql_is_the_sum_of_the_migrations() {
        let file: Arc<Path> = Path::new(":memory:").into();
        let mut migrated = Connection::open_in_memory().unwrap();
        migrate(&mut migrated, &file).unwrap();
        let written = Connection::open_in_memory().unwrap();
        written
            .execute_batch(include_str!("../../schema.sql"))
            .unwrap();
        assert_eq!(shape(&migrated), shape(&written));
        assert!(shape(&migrated).len() > 100);
    }

    #[test]
    fn segments_of_an_older_audit_get_the_times_of_their_records() {
        let file: Arc<Path> = Path::new(":memory:").into();
        let mut database = Connection::open_in_memory().unwrap();
        let timed = MIGRATIONS
            .iter()
            .position(|(name, _)| name.starts_with("0011-"))
            .unwrap();
        for (_, sql) in &MIGRATIONS[..timed] {
            database.execute_batch(sql).unwrap();
        }
        database.pragma_update(None, "user_version", timed).unwrap();
        let rows = "INSERT INTO audit_acts VALUES (1, 5, 6, x''), (3, 4, 9, x''), (4, 10, 11, x'');
                    INSERT INTO audit_segments VALUES
                      ('acts', 1, x'', 3, x'', 0), ('acts', 4, x'', 4, x'', 0);
                    INSERT INTO audit_decisions VALUES (1, 7, 8, x'');
                    INSERT INTO audit_segments VALUES ('decisions', 1, x'', 2, x'', 0);";
        database.execute_batch(rows).unwrap();
        migrate(&mut database, &file).unwrap();
        let times = "SELECT stream || ' ' || since || ' ' || until FROM audit_segments ORDER BY
                     stream, first";
        assert_eq!(
            texts(&database, times),
            ["acts 4 9", "acts 10 11", "decisions 7 8"]
        );
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
