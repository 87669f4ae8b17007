//! The data directory: who may open it, and which schemas.

use std::os::unix::fs::PermissionsExt;

use super::*;

#[tokio::test]
async fn a_directory_has_one_server_and_any_number_of_readers() {
    let directory = tempfile::tempdir().unwrap();
    assert!(matches!(
        Store::open_read_only(directory.path()),
        Err(OpenError::Absent(_))
    ));
    let store = open(directory.path());
    let service = ServiceRow {
        id_scope: "0neX".parse().unwrap(),
        operation_key: Secret::new("k"),
        name: "dps".parse().unwrap(),
        host: None,
        allocation_policy: "hashed".to_owned(),
    };
    let hub = HubRow {
        name: hub(),
        host: "localhost".parse().unwrap(),
        remote: None,
    };
    let link = LinkRow {
        hub,
        allocation_weight: None,
        apply_allocation_policy: true,
        latencies: None,
    };
    store
        .write(write(move |tx| {
            tx.insert_service(&service, 1)
                .and_then(|()| tx.insert_hub(&link.hub, 1))
                .and_then(|()| tx.put_link("0neX", &link))
        }))
        .await
        .unwrap();

    let refused = DataDirectory::lock(directory.path())
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains(&format!("in use by process {}", std::process::id())),
        "{refused}"
    );
    let reader = Store::open_read_only(directory.path()).unwrap();
    let hubs = reader.read(|view| view.linked_hubs("0neX")).unwrap();
    assert_eq!(hubs.len(), 1);
}

#[tokio::test]
async fn nobody_else_can_read_the_files() {
    let directory = tempfile::tempdir().unwrap();
    let inside = directory.path().join("data");
    let store = open(&inside);
    insert(&store, "a").await.unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&inside), 0o700);
    let mut seen = 0;
    for entry in std::fs::read_dir(&inside).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        seen += 1;
    }
    // Database, WAL, its index, and the lock.
    assert_eq!(seen, 4);
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path()));
    let file = DataDirectory::database(directory.path());
    rusqlite::Connection::open(&file)
        .unwrap()
        .pragma_update(None, "user_version", 999)
        .unwrap();
    let refused = Store::open(
        DataDirectory::lock(directory.path()).unwrap(),
        StoreOptions::default(),
    )
    .err()
    .unwrap()
    .to_string();
    assert!(refused.contains("schema 999"), "{refused}");
}
