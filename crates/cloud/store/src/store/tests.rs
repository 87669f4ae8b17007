use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::{
    HubRow, IdentityKey, IdentityRow, LinkRow, Lock, Secret, ServiceRow, TwinRow, Tx, unit,
};

fn open(directory: &Path) -> Store {
    Store::open(
        DataDirectory::lock(directory).unwrap(),
        StoreOptions::default(),
    )
    .unwrap()
}

fn device(id: &str) -> IdentityRow {
    IdentityRow {
        id: 0,
        hub: "hub".to_owned(),
        device_id: id.to_owned(),
        module_id: String::new(),
        generation_id: "1".to_owned(),
        revision: 1,
        enabled: true,
        status_reason: None,
        status_updated: 0,
        auth_kind: "sas".to_owned(),
        auth_primary: Some(Secret::new("secret")),
        auth_secondary: None,
        iot_edge: false,
        managed_by: None,
        device_scope: None,
        parent_scopes: None,
    }
}

/// A unit that decides nothing.
pub(crate) fn write<T: Send + 'static>(
    apply: impl Fn(&Tx<'_>) -> Result<T, StoreError> + Send + 'static,
) -> impl Unit<Plan = (), Output = T, Error = StoreError> {
    unit(
        (),
        |()| vec![Lock::Directory],
        |(), _| Ok(()),
        move |(), tx, ()| apply(tx),
    )
}

async fn insert(store: &Store, id: &str) -> Result<(), StoreError> {
    let row = device(id);
    store
        .write(write(move |tx| {
            tx.insert_identity(&row, &TwinRow::default())
        }))
        .await
}

fn exists(store: &Store, id: &str) -> bool {
    let key = IdentityKey {
        hub: "hub",
        device_id: id,
        module_id: "",
    };
    store.read(|view| view.identity(key)).unwrap().is_some()
}

#[tokio::test]
async fn what_is_written_is_there_after_opening_again() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    insert(&store, "a").await.unwrap();
    drop(store);
    assert!(exists(&open(directory.path()), "a"));
}

/// Holds the writer until `jobs` callers wait, so that these share a transaction.
async fn hold_until_waiting(store: &Store, jobs: usize) -> oneshot::Receiver<()> {
    let (entered, mut holding) = mpsc::channel(1);
    let (released, release) = oneshot::channel();
    let (let_go, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let hold = write(move |_| {
        entered.blocking_send(()).unwrap();
        held.lock().unwrap().recv().unwrap();
        Ok(())
    });
    tokio::spawn({
        let store = store.clone();
        async move { store.write(hold).await }
    });
    holding.recv().await.unwrap();
    let store = store.clone();
    tokio::spawn(async move {
        while store.shared.queue.as_ref().unwrap().capacity() > QUEUE - jobs {
            tokio::task::yield_now().await;
        }
        let_go.send(()).unwrap();
        released.send(()).unwrap();
    });
    release
}

/// What a unit of the tests below does when it has written.
#[derive(Clone, Copy, PartialEq)]
enum Then {
    Succeeds,
    Fails,
    Panics,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_unit_leaves_its_neighbours_alone() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let runs = Arc::new(AtomicU64::default());
    let write = |id: &'static str, then: Then| {
        let (store, runs) = (store.clone(), runs.clone());
        let unit = write(move |tx| {
            runs.fetch_add(1, Ordering::Relaxed);
            tx.insert_identity(&device(id), &TwinRow::default())?;
            assert!(then != Then::Panics, "this unit panics on purpose");
            match then {
                Then::Fails => Err(tx.damaged("x", "on purpose")),
                _ => Ok(()),
            }
        });
        async move { store.write(unit).await }
    };
    let released = hold_until_waiting(&store, 4).await;
    let (a, b, c, d) = tokio::join!(
        write("a", Then::Succeeds),
        write("b", Then::Fails),
        write("c", Then::Panics),
        write("d", Then::Succeeds)
    );
    released.await.unwrap();
    assert!(a.is_ok() && d.is_ok());
    assert!(b.unwrap_err().to_string().contains("damaged"));
    assert!(c.is_err());
    let there: Vec<_> = ["a", "b", "c", "d"]
        .into_iter()
        .filter(|id| exists(&store, id))
        .collect();
    assert_eq!(there, ["a", "d"]);
    // The first two ran again; the others ran in the next transaction, of which one failed, too.
    let runs = runs.load(Ordering::Relaxed);
    assert!((6..=8).contains(&runs), "{runs} runs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusing_unit_costs_its_neighbours_no_second_run() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let runs = Arc::new(AtomicU64::default());
    let counted = runs.clone();
    let neighbour = write(move |tx| {
        counted.fetch_add(1, Ordering::Relaxed);
        tx.insert_identity(&device("neighbour"), &TwinRow::default())
    });
    let refuses = unit(
        (),
        |()| vec![],
        |(), view| Err::<(), _>(view.damaged("x", "on purpose")),
        |(), _, ()| Ok(()),
    );
    let released = hold_until_waiting(&store, 2).await;
    let (kept, refused) = tokio::join!(store.write(neighbour), store.write(refuses));
    released.await.unwrap();
    kept.unwrap();
    assert!(refused.is_err() && exists(&store, "neighbour"));
    assert_eq!(runs.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_full_disk_acknowledges_nothing_and_names_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    insert(&store, "before").await.unwrap();
    // SQLite answers SQLITE_FULL at its own limit exactly as at the disk's.
    let limit = |pages: &'static str| {
        let store = store.clone();
        async move {
            store
                .write(write(move |tx| tx.one(pages, [], |_| Ok(()))))
                .await
                .unwrap()
        }
    };
    limit("PRAGMA max_page_count = 1").await;
    let large = TwinRow {
        tags: Some(format!("{{\"a\":\"{}\"}}", "x".repeat(100_000))),
        ..TwinRow::default()
    };
    let error = store
        .write(write(move |tx| {
            tx.insert_identity(&device("large"), &large)
        }))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("muster.db"), "{error}");
    assert!(!exists(&store, "large"));
    limit("PRAGMA max_page_count = 1000000").await;
    insert(&store, "after").await.unwrap();
    assert!(exists(&store, "before") && exists(&store, "after"));
}

#[tokio::test]
async fn callbacks_run_after_the_commit_in_order_and_only_for_what_was_kept() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let (told, heard) = std::sync::mpsc::channel();
    for (number, fails) in [(1, false), (2, true), (3, false)] {
        let told = told.clone();
        let unit = write(move |tx| {
            let told = told.clone();
            tx.after_commit(move || told.send(number).unwrap());
            match fails {
                true => Err(tx.damaged("x", "on purpose")),
                false => Ok(()),
            }
        });
        let _ = store.write(unit).await;
    }
    drop(told);
    assert_eq!(heard.iter().collect::<Vec<_>>(), [1, 3]);
}

/// A caller that goes away leaves its scan running; it still counts as one.
#[tokio::test]
async fn scans_whose_callers_went_away_count_until_they_end() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = Arc::new(std::sync::Mutex::new(released));
    for _ in 0..SCANS {
        let (begun, begins) = oneshot::channel();
        let released = released.clone();
        let scan = store.scan(move |_| {
            begun.send(()).unwrap();
            // The sender is kept until the end of the test, so that this waits for it.
            let _ = released.lock().unwrap().recv();
            Ok::<_, StoreError>(())
        });
        tokio::select! {
            _ = scan => panic!("the scan ended"),
            begun = begins => begun.unwrap(),
        }
    }
    assert_eq!(store.shared.scans.available_permits(), 0);
    drop(release);
    store.scan(|_| Ok::<_, StoreError>(())).await.unwrap();
}

#[tokio::test]
async fn a_directory_has_one_server_and_any_number_of_readers() {
    let directory = tempfile::tempdir().unwrap();
    assert!(matches!(
        Store::open_read_only(directory.path()),
        Err(OpenError::Absent(_))
    ));
    let store = open(directory.path());
    let service = ServiceRow {
        id_scope: "0neX".to_owned(),
        operation_key: Secret::new("k"),
        name: "dps".to_owned(),
        host: None,
        allocation_policy: "hashed".to_owned(),
    };
    let hub = HubRow {
        name: "hub".to_owned(),
        host: "localhost".to_owned(),
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

fn refusal(id: usize) -> crate::RefusalRow {
    crate::RefusalRow {
        number: 0,
        folded: format!("d{id}"),
        spelled: format!("D{id}"),
        reason: "not_enrolled".to_owned(),
        error_code: 401_002,
        credential: [0; 32],
        times: 1,
        first: 0,
        last: 0,
        report: "{}".to_owned(),
    }
}

/// B4: what one service keeps does not depend on how much another writes.
#[tokio::test]
async fn a_flood_at_one_service_drops_nothing_of_another() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let flood = |tx: &Tx<'_>| {
        let note = |id: usize| crate::AllocationRow {
            id: 0,
            folded: format!("d{id}"),
            at: 0,
            document: "{}".to_owned(),
        };
        tx.put_refusal("quiet", &refusal(0), (8, 10))?;
        tx.insert_allocation("quiet", &note(0), (5, 10))?;
        for id in 0..50 {
            tx.put_refusal("loud", &refusal(id), (8, 10))?;
            tx.insert_allocation("loud", &note(id), (5, 10))?;
        }
        tx.put_refusal("quiet", &refusal(0), (8, 10))
    };
    store.write(write(flood)).await.unwrap();
    let refusals = |id_scope: &str, folded: Option<&str>, before: i64| {
        let filter = crate::RefusalFilter {
            id_scope,
            folded,
            from: i64::MIN,
            to: i64::MAX,
            before,
        };
        store.read(|view| view.refusals(filter, 1000)).unwrap()
    };
    let quiet = refusals("quiet", None, i64::MAX);
    assert_eq!((quiet.len(), quiet[0].times), (1, 2));
    let loud = refusals("loud", None, i64::MAX);
    let ids: Vec<&str> = loud.iter().map(|row| row.folded.as_str()).collect();
    let expected: Vec<String> = (40..50).rev().map(|id| format!("d{id}")).collect();
    assert_eq!(ids, expected);
    assert_eq!(refusals("loud", None, loud[3].number).len(), 6);
    assert_eq!(refusals("loud", Some("d45"), i64::MAX).len(), 1);
    let notes = |id_scope: &str, folded: &str| {
        let read = store.read(|view| view.allocations(id_scope, folded, 10));
        read.unwrap().len()
    };
    assert_eq!(notes("quiet", "d0"), 1);
    assert_eq!((notes("loud", "d39"), notes("loud", "d40")), (0, 1));
}

/// C5: what registrations wait for does not stand behind pages of operators.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn short_scans_pass_long_ones() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = Arc::new(std::sync::Mutex::new(held));
    let mut long = tokio::task::JoinSet::new();
    let (begun, mut running) = mpsc::channel(SCANS);
    for _ in 0..SCANS {
        let (store, held, begun) = (store.clone(), held.clone(), begun.clone());
        long.spawn(async move {
            let hold = move |_: &View<'_>| {
                begun.blocking_send(()).unwrap();
                held.lock().unwrap().recv().unwrap();
                Ok::<_, StoreError>(())
            };
            store.scan(hold).await
        });
    }
    for _ in 0..SCANS {
        running.recv().await.unwrap();
    }
    let short = store.scan_shortly(|view| view.next_pending(0));
    assert_eq!(short.await.unwrap(), None);
    for _ in 0..SCANS {
        release.send(()).unwrap();
    }
    for ended in long.join_all().await {
        ended.unwrap();
    }
}

/// D4: reads that belong together see one moment, although each alone would see what
/// was committed before it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_at_once_are_of_one_moment() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let is_there = |view: &View<'_>, id| {
        let key = IdentityKey {
            hub: "hub",
            device_id: id,
            module_id: "",
        };
        Ok::<_, StoreError>(view.identity(key)?.is_some())
    };
    let write = |id: &'static str| {
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current()
                .block_on(insert(&store, id))
                .unwrap();
        });
    };
    let seen = store.read(|view| {
        view.at_once(|view| {
            let before = is_there(view, "a")?;
            write("a");
            Ok::<_, StoreError>((before, is_there(view, "a")?))
        })
    });
    assert_eq!(seen.unwrap(), (false, false));
    let seen = store.read(|view| {
        let before = is_there(view, "b")?;
        write("b");
        Ok::<_, StoreError>((before, is_there(view, "b")?))
    });
    assert_eq!(seen.unwrap(), (false, true), "the connection is as it was");
}

/// C10: a page ends when its documents are long enough, and the next one goes on.
#[tokio::test]
async fn a_page_of_long_documents_is_short() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let fill = |tx: &Tx<'_>| {
        for number in 0..700 {
            let twin = TwinRow {
                desired: Some(format!(r#"{{"a":"{}"}}"#, "x".repeat(30_000))),
                ..TwinRow::default()
            };
            tx.insert_identity(&device(&format!("d{number:03}")), &twin)?;
        }
        Ok::<_, StoreError>(())
    };
    store.write(write(fill)).await.unwrap();
    let (mut after, mut pages, mut found) = (String::new(), 0, 0);
    loop {
        let page = store.read(|view| view.device_twins_after("hub", &after, 1000));
        let page = page.unwrap();
        assert!((1..=300).contains(&page.rows.len()), "{}", page.rows.len());
        (pages, found) = (pages + 1, found + page.rows.len());
        let Some((last, _)) = page.rows.last().filter(|_| page.more) else {
            break;
        };
        after.clone_from(&last.device_id);
    }
    assert_eq!((pages, found), (3, 700));
    let three = store
        .read(|view| view.device_twins_after("hub", "", 3))
        .unwrap();
    assert_eq!((three.rows.len(), three.more), (3, true));
    let none = store
        .read(|view| view.device_twins_after("hub", "d699", 3))
        .unwrap();
    assert_eq!((none.rows.len(), none.more), (0, false));
}

fn registration(spelled: &str, device_id: &str) -> crate::RegistrationRow {
    crate::RegistrationRow {
        id: 0,
        folded: spelled.to_ascii_lowercase(),
        spelled: spelled.to_owned(),
        group_id: None,
        status: "assigned".to_owned(),
        substatus: None,
        hub: Some("hub".to_owned()),
        device_id: Some(device_id.to_owned()),
        error_code: None,
        error_message: None,
        etag: "1".to_owned(),
        payload: None,
        detail: None,
        created: 0,
        updated: 0,
    }
}

/// Whatever a unit decides, a device is not given to two registrations.
#[tokio::test]
async fn a_device_belongs_to_one_registration() {
    for (first, second) in [
        (("0neA", "a", "a"), ("0neA", "b", "a")),
        (("0neA", "b", "a"), ("0neA", "a", "a")),
        (("0neA", "b", "x"), ("0neA", "c", "x")),
        (("0neA", "a", "a"), ("0neB", "a", "a")),
        (("0neA", "a", "a"), ("0neB", "A", "a")),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path());
        let prepare = write(|tx| {
            for id_scope in ["0neA", "0neB"] {
                let service = ServiceRow {
                    id_scope: id_scope.to_owned(),
                    operation_key: Secret::new("k"),
                    name: id_scope.to_owned(),
                    host: None,
                    allocation_policy: "hashed".to_owned(),
                };
                tx.insert_service(&service, 1)?;
            }
            Ok(())
        });
        store.write(prepare).await.unwrap();
        let insert = |(id_scope, spelled, device): (&'static str, &'static str, &'static str)| {
            let row = registration(spelled, device);
            store.write(write(move |tx| tx.insert_registration(id_scope, &row)))
        };
        insert(first).await.unwrap();
        insert(second).await.unwrap_err();
        insert(("0neA", "other", "Other")).await.unwrap();
        let moved = write(|tx| {
            let mut row = tx.registration("0neA", "other")?.unwrap();
            row.device_id = tx
                .registration("0neA", "a")?
                .or(tx.registration("0neA", "b")?)
                .unwrap()
                .device_id;
            tx.update_registration("0neA", "1", &row)
        });
        store.write(moved).await.unwrap_err();
    }
}
