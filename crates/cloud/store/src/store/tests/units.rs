//! Units that share a transaction, and what follows from those that are kept.

use super::*;

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
    let (sender, heard) = std::sync::mpsc::channel();
    for (number, fails) in [(1, false), (2, true), (3, false)] {
        let sender = sender.clone();
        let unit = write(move |tx| {
            let sender = sender.clone();
            tx.after_commit(move || sender.send(number).unwrap());
            match fails {
                true => Err(tx.damaged("x", "on purpose")),
                false => Ok(()),
            }
        });
        let _ = store.write(unit).await;
    }
    drop(sender);
    assert_eq!(heard.iter().collect::<Vec<_>>(), [1, 3]);
}
