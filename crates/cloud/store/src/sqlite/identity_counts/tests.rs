use std::sync::Arc;

use ids::{DeviceId, HubName, ModuleId};

use super::*;
use crate::{
    DataDirectory, IdentityKey, Lock, ReadOnlyStore, Store, StoreOptions, TwinRow, Unit, unit,
};

fn hub(name: &str) -> HubName {
    HubName::parse(name).unwrap()
}

fn device(id: &str) -> DeviceId {
    DeviceId::parse(id).unwrap()
}

fn row(at: &str, id: &str, module: Option<&str>, enabled: bool) -> IdentityRow {
    IdentityRow {
        enabled,
        ..IdentityRow::example(at, id, module)
    }
}

/// A write of everything, as one unit.
fn all<F>(write: F) -> impl Unit<Plan = (), Output = (), Error = StoreError>
where
    F: Fn(&Tx<'_>) -> Result<(), StoreError> + Send + 'static,
{
    unit(
        write,
        |_| vec![Lock::Directory],
        |_, _| Ok(()),
        |write, tx, ()| write(tx),
    )
}

/// The counts that are kept, which have to be those of the rows.
fn counts(store: &Store, at: &str) -> [u64; 3] {
    let read = |view: &View<'_>| {
        let sql = "SELECT count(*) FILTER (WHERE module_id = ''),
                          count(*) FILTER (WHERE module_id = '' AND enabled),
                          count(*) FILTER (WHERE module_id > '') FROM identities WHERE hub = ?1";
        let rows = view.one(sql, [at], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?]))?;
        let kept = view.identity_counts(&hub(at))?;
        assert_eq!(Some([kept.devices, kept.enabled, kept.modules]), rows);
        Ok::<_, StoreError>([kept.devices, kept.enabled, kept.modules])
    };
    store.read(read).unwrap()
}

async fn insert(store: &Store) {
    let insert = all(|tx| {
        let twin = TwinRow::default();
        tx.insert_identity(&row("h", "a", None, true), &twin)?;
        tx.insert_identity(&row("h", "a", Some("m"), true), &twin)?;
        tx.insert_identity(&row("h", "a", Some("n"), true), &twin)?;
        tx.insert_identity(&row("h", "b", None, false), &twin)?;
        tx.insert_identity(&row("other", "c", None, true), &twin)
    });
    store.write(insert).await.unwrap();
}

/// A module and a device go, another one moves.
async fn remove(store: &Store) {
    let remove = all(|tx| {
        let (h, a, m) = (hub("h"), device("a"), ModuleId::parse("m").unwrap());
        let key = IdentityKey {
            module_id: Some(&m),
            ..IdentityKey::device(&h, &a)
        };
        tx.delete_module(key, 1)?;
        tx.move_device((&h, &a), (&hub("other"), &device("moved")))?;
        tx.delete_device(&h, &device("b"))
    });
    store.write(remove).await.unwrap();
}

async fn counts_follow_what_is_written(rehearse: bool) {
    let directory = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        rehearse,
        ..StoreOptions::default()
    };
    let held = DataDirectory::lock(directory.path()).unwrap();
    let store = Store::open(held, options).unwrap();
    assert_eq!(counts(&store, "h"), [0, 0, 0]);
    insert(&store).await;
    assert_eq!(counts(&store, "h"), [2, 1, 2]);
    assert_eq!(counts(&store, "other"), [1, 1, 0]);

    // A unit that fails after it has written, beside one that does not.
    let failing = all(|tx| {
        tx.insert_identity(&row("h", "x", None, true), &TwinRow::default())?;
        Err(tx.damaged("a test", "fails"))
    });
    let good = all(|tx| tx.insert_identity(&row("h", "y", None, true), &TwinRow::default()));
    let (failed, kept) = tokio::join!(store.write(failing), store.write(good));
    assert!(failed.is_err());
    kept.unwrap();
    assert_eq!(counts(&store, "h"), [3, 2, 2]);

    for enabled in [false, false, true] {
        let update = all(move |tx| {
            let (h, y) = (hub("h"), device("y"));
            let stored = tx.identity(IdentityKey::device(&h, &y))?.unwrap();
            tx.update_identity(&IdentityRow {
                revision: stored.revision + 1,
                enabled,
                ..stored
            })
        });
        store.write(update).await.unwrap();
        assert_eq!(counts(&store, "h"), [3, 1 + u64::from(enabled), 2]);
    }

    remove(&store).await;
    assert_eq!(counts(&store, "h"), [1, 1, 0]);
    assert_eq!(counts(&store, "other"), [2, 2, 1]);
    let last = all(|tx| tx.delete_device(&hub("h"), &device("y")));
    store.write(last).await.unwrap();
    assert_eq!(counts(&store, "h"), [0, 0, 0]);
    drop(store);
    let reader = ReadOnlyStore::open(directory.path()).unwrap();
    let hubs = |view: &View<'_>| view.all("SELECT hub FROM identity_counts", [], |row| row.get(0));
    let hubs: Vec<String> = reader.read(hubs).unwrap();
    assert_eq!(hubs, ["other"], "nothing is kept of a hub without devices");
}

#[tokio::test]
async fn counts_are_those_of_the_rows() {
    counts_follow_what_is_written(false).await;
}

#[tokio::test]
async fn counts_are_those_of_the_rows_when_units_are_rehearsed() {
    counts_follow_what_is_written(true).await;
}

/// A directory of an earlier version is counted once.
#[test]
fn the_migration_counts_what_is_stored() {
    let file: Arc<std::path::Path> = std::path::Path::new(":memory:").into();
    let mut connection = rusqlite::Connection::open_in_memory().unwrap();
    crate::sqlite::schema::migrate(&mut connection, &file).unwrap();
    let tx = Tx::new(&connection, &file, 1);
    for (id, module, enabled) in [
        ("a", None, true),
        ("b", None, false),
        ("a", Some("m"), true),
    ] {
        let row = row("h", id, module, enabled);
        tx.insert_identity(&row, &TwinRow::default()).unwrap();
    }
    let up = include_str!("../../../migrations/0025-kept-counts-of-identities/up.sql");
    connection
        .execute_batch("DROP TABLE identity_counts")
        .unwrap();
    connection.execute_batch(up).unwrap();
    let kept = tx.identity_counts(&hub("h")).unwrap();
    assert_eq!((kept.devices, kept.enabled, kept.modules), (2, 1, 1));
}
