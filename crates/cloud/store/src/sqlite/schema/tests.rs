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
        .execute_batch(include_str!("../../../schema.sql"))
        .unwrap();
    assert_eq!(shape(&migrated), shape(&written));
    assert!(shape(&migrated).len() > 100);
}

/// A database with the schema that a migration finds.
fn before_migration(prefix: &str) -> Connection {
    let database = Connection::open_in_memory().unwrap();
    let mut names = MIGRATIONS.iter().map(|(name, _)| name);
    let place = names.position(|name| name.starts_with(prefix)).unwrap();
    for (_, sql) in &MIGRATIONS[..place] {
        database.execute_batch(sql).unwrap();
    }
    database.pragma_update(None, "user_version", place).unwrap();
    database
}

#[test]
fn segments_of_an_older_audit_get_the_times_of_their_records() {
    let file: Arc<Path> = Path::new(":memory:").into();
    let mut database = before_migration("0011-");
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
fn numbers_that_were_given_twice_are_given_anew_in_their_order() {
    let file: Arc<Path> = Path::new(":memory:").into();
    let mut database = before_migration("0015-");
    for (id, id_scope, number) in [
        (1, "twice", 4),
        (2, "once", 7),
        (3, "twice", 3),
        (4, "twice", 4),
        (5, "once", 9),
    ] {
        let refusal = "INSERT INTO refusals VALUES
                       (?1, ?2, 'd', 'd', 'r', 1, x'', 1, 0, 0, '{}', ?3)";
        database.execute(refusal, (id, id_scope, number)).unwrap();
        let allocation = "INSERT INTO allocations VALUES (?1, ?2, 'd', 0, '{}', ?3)";
        database
            .execute(allocation, (id, id_scope, number))
            .unwrap();
    }
    migrate(&mut database, &file).unwrap();
    for table in ["refusals", "allocations"] {
        let numbers = format!(
            "SELECT id_scope || ' ' || id || ' ' || number FROM {table}
             ORDER BY id_scope, number"
        );
        assert_eq!(
            texts(&database, &numbers),
            [
                "once 2 7",
                "once 5 9",
                "twice 3 1",
                "twice 1 2",
                "twice 4 3"
            ]
        );
        let again = format!("UPDATE {table} SET number = 1 WHERE id = 4");
        database.execute(&again, ()).unwrap_err();
    }
}

#[test]
fn issuers_and_trust_bundles_of_an_older_schema_stay_with_their_enrollments() {
    let file: Arc<Path> = Path::new(":memory:").into();
    let mut database = before_migration("0015-");
    let rows = "INSERT INTO services (id_scope, operation_key, created) VALUES ('s', 'k', 0);
        INSERT INTO device_resources VALUES
          (1, 's', 'issuer', 'ca', 'CA', x'01', 'issuer document', 'e1', 5, 6),
          (2, 's', 'trustBundle', 'ca', 'CA', NULL, 'bundle document', 'e2', 7, 8);
        INSERT INTO enrollments
          (id, id_scope, kind, folded, spelled, etag, enabled, document, created, updated)
        VALUES (1, 's', 'group', 'both', 'both', 'e', 1, '{}', 0, 0),
               (2, 's', 'group', 'issuer', 'issuer', 'e', 1, '{}', 0, 0),
               (3, 's', 'group', 'neither', 'neither', 'e', 1, '{}', 0, 0);
        INSERT INTO enrollment_resources VALUES (1, 2), (1, 1), (2, 1);";
    database.execute_batch(rows).unwrap();
    migrate(&mut database, &file).unwrap();
    let columns = "id || ' ' || id_scope || ' ' || folded || ' ' || spelled || ' ' ||
                   document || ' ' || etag || ' ' || created || ' ' || updated";
    let read = |table: &str| texts(&database, &format!("SELECT {columns} FROM {table}"));
    assert_eq!(read("issuers"), ["1 s ca CA issuer document e1 5 6"]);
    assert_eq!(read("trust_bundles"), ["2 s ca CA bundle document e2 7 8"]);
    let named = "SELECT folded || ' ' || coalesce(issuer, '-') || ' ' ||
                 coalesce(trust_bundle, '-') FROM enrollments ORDER BY id";
    assert_eq!(
        texts(&database, named),
        ["both 1 2", "issuer 1 -", "neither - -"]
    );
    let thumbprint = texts(&database, "SELECT hex(thumbprint) FROM issuers");
    assert_eq!(thumbprint, ["01"]);
    // What an enrollment names is not deleted.
    database.execute("DELETE FROM issuers", ()).unwrap_err();
}

#[test]
fn tags_of_an_older_schema_are_indexed() {
    let file: Arc<Path> = Path::new(":memory:").into();
    let mut database = before_migration("0017-");
    let row = "INSERT INTO identities (hub, device_id, module_id, generation_id, revision, enabled,
                   status_updated, auth_kind, iot_edge, twin_version, desired_version,
                   reported_version, twin_written, tags)
               VALUES ('h', 'd', ?1, '1', 1, 1, 0, 'none', 0, 2, 1, 1, 0, jsonb(?2))";
    let tags = r#"{"site": "Seoul", "floor": {"level": true}, "list": [1]}"#;
    database.execute(row, ("", Some(tags))).unwrap();
    database.execute(row, ("m", None::<&str>)).unwrap();
    migrate(&mut database, &file).unwrap();
    let index = "SELECT hub || ' ' || of_module || ' ' || path || ' ' || value || ' ' || identity
                 FROM tag_values ORDER BY path";
    assert_eq!(
        texts(&database, index),
        ["h 0 floor.level 2 1", "h 0 site 4Seoul 1"]
    );
}

#[test]
fn blocks_and_ca_certificates_of_an_older_schema_are_kept() {
    let file: Arc<Path> = Path::new(":memory:").into();
    let mut database = before_migration("0020-");
    let rows = "INSERT INTO services (id_scope, operation_key, created) VALUES ('s', 'k', 0);
        INSERT INTO blocks VALUES
          ('s', 'a', 'A', 'stolen', 5, 'made', NULL, NULL, 0),
          ('s', 'b', 'B', NULL, 6, 'disabled', 'hub', 'B', 1),
          ('s', 'c', 'C', NULL, 7, 'kept', 'hub', 'C', 0);
        INSERT INTO ca_certificates VALUES
          (1, 's', 'ca', 'CA', x'01', x'02', x'03', 'withdrawn', NULL, NULL, 'e', 8, 9);";
    database.execute_batch(rows).unwrap();
    migrate(&mut database, &file).unwrap();
    let blocks = "SELECT folded || ' ' || spelled || ' ' || coalesce(reason, '-') || ' ' ||
                  blocked || ' ' || enrollment_change || ' ' || coalesce(hub, '-') || ' ' ||
                  coalesce(device_id, '-') || ' ' || device_disabled FROM blocks ORDER BY folded";
    assert_eq!(
        texts(&database, blocks),
        [
            "a A stolen 5 created - - 0",
            "b B - 6 disabled hub B 1",
            "c C - 7 none hub C 0"
        ]
    );
    let ca_certificates = "SELECT id || ' ' || spelled || ' ' || state FROM ca_certificates";
    assert_eq!(texts(&database, ca_certificates), ["1 CA withdrawn"]);
}

#[test]
fn certificates_of_an_older_audit_are_to_be_taken_over() {
    let file: Arc<Path> = Path::new(":memory:").into();
    let takeover = "SELECT next || ' ' || until FROM certificate_takeover";
    let mut database = before_migration("0028-");
    migrate(&mut database, &file).unwrap();
    assert!(texts(&database, takeover).is_empty(), "there is no audit");
    let mut database = before_migration("0028-");
    let rows = "INSERT INTO audit_segments VALUES
                  ('decisions', 3, x'', 7, x'', 0, 1, 2), ('decisions', 8, x'', 9, x'', 0, 1, 2),
                  ('acts', 1, x'', 20, x'', 0, 1, 2);";
    database.execute_batch(rows).unwrap();
    migrate(&mut database, &file).unwrap();
    assert_eq!(texts(&database, takeover), ["0 9"]);
}

#[test]
fn every_migration_folder_is_listed() {
    let folders = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations")).unwrap();
    let mut names: Vec<_> = folders
        .map(Result::unwrap)
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    let listed: Vec<_> = MIGRATIONS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, listed);
}
