//! Rows that somebody damaged, behind the store's back.

use std::error::Error;

use super::*;

/// A store with devices `a`, `b` and `c`, and what a statement does to them.
async fn damaged(directory: &Path, sql: &str) -> Store {
    let store = open(directory);
    for id in ["a", "b", "c"] {
        insert(&store, id).await.unwrap();
    }
    drop(store);
    let file = directory.join("muster.db");
    let connection = rusqlite::Connection::open(file).unwrap();
    connection.execute_batch(sql).unwrap();
    drop(connection);
    open(directory)
}

#[tokio::test]
async fn a_row_that_cannot_be_read_keeps_its_place_in_lists() {
    let directory = tempfile::tempdir().unwrap();
    for (column, text) in [
        ("device_id", "b/?"),
        ("generation_id", "no such/thing"),
        ("auth_kind", "no such/thing"),
    ] {
        let directory = directory.path().join(column);
        std::fs::create_dir(&directory).unwrap();
        let sql = format!("UPDATE identities SET {column} = '{text}' WHERE device_id = 'b'");
        let store = damaged(&directory, &sql).await;
        let devices = store.read(|view| view.devices_after(&hub(), "", 10));
        let read = |row: Result<(), &StoreError>| row.err().map(messages);
        let devices = devices.unwrap();
        let devices: Vec<_> = devices
            .iter()
            .map(|listed| read(listed.row.as_ref().map(drop)))
            .collect();
        let twins = store.read(|view| devices_with_twins(view, "", 10));
        let twins = twins.unwrap().rows;
        let twins: Vec<_> = twins
            .iter()
            .map(|listed| read(listed.row.as_ref().map(drop)))
            .collect();
        assert_eq!(devices, twins);
        let [None, Some(error), None] = &devices[..] else {
            panic!("{column}: {devices:?}");
        };
        assert!(!error.contains(text), "{error}");
    }
}

fn messages(error: &StoreError) -> String {
    let cause = error.source().unwrap();
    format!("{error}: {cause}")
}
