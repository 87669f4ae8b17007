//! Scans, reads of one moment, and pages.

use super::*;

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

/// What registrations wait for does not stand behind pages of operators.
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

/// Reads that belong together see one moment, although each alone would see what
/// was committed before it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_at_once_are_of_one_moment() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let is_there = |view: &View<'_>, id| {
        let row = device(id);
        Ok::<_, StoreError>(view.identity(row.key())?.is_some())
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

/// A page ends when its documents are long enough, and the next one goes on.
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
        let page = store.read(|view| devices_with_twins(view, &after, 1000));
        let page = page.unwrap();
        assert!((1..=300).contains(&page.rows.len()), "{}", page.rows.len());
        (pages, found) = (pages + 1, found + page.rows.len());
        let Some(last) = page.rows.last().filter(|_| page.more) else {
            break;
        };
        after.clone_from(&last.device_id);
    }
    assert_eq!((pages, found), (3, 700));
    let three = store.read(|view| devices_with_twins(view, "", 3)).unwrap();
    assert_eq!((three.rows.len(), three.more), (3, true));
    let none = store
        .read(|view| devices_with_twins(view, "d699", 3))
        .unwrap();
    assert_eq!((none.rows.len(), none.more), (0, false));
}
