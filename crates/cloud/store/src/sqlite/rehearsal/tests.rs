use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use ids::HubName;

use crate::audit::AuditStream;
use crate::{DataDirectory, Lock, Store, StoreError, StoreOptions, Tx, unit};

fn open(directory: &Path) -> Store {
    let options = StoreOptions {
        rehearse: true,
        ..StoreOptions::default()
    };
    Store::open(DataDirectory::lock(directory).unwrap(), options).unwrap()
}

const D1: Lock<'_> = Lock::Device {
    hub: "hub",
    device_id: "d1",
};

fn hub() -> HubName {
    HubName::parse("hub").unwrap()
}

fn queue(tx: &Tx<'_>, device: &str) -> Result<(), StoreError> {
    tx.queue_device(&hub(), &device.parse().unwrap())
}

fn queued(store: &Store) -> Vec<String> {
    store.read(|view| view.queued_devices(&hub(), 9)).unwrap()
}

#[tokio::test]
async fn a_unit_runs_twice_and_counts_once() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let (runs, calls) = (Arc::<AtomicI64>::default(), Arc::<AtomicI64>::default());
    let (ran, called) = (runs.clone(), calls.clone());
    let write = unit(
        (),
        |()| vec![D1],
        |(), view| Ok::<_, StoreError>(view.queued_devices(&hub(), 9)?.len()),
        move |(), tx, before| {
            ran.fetch_add(1, Ordering::Relaxed);
            queue(tx, "d1")?;
            let called = called.clone();
            tx.after_commit(move || {
                called.fetch_add(1, Ordering::Relaxed);
            });
            tx.audit(AuditStream::OperatorActs, 1, b"once".to_vec())?;
            Ok(before)
        },
    );
    assert_eq!(store.write(write).await.unwrap(), 0);
    assert_eq!(runs.load(Ordering::Relaxed), 2);
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    assert_eq!(queued(&store), ["d1"]);
    let block = store.read(|view| view.audit_block_from(AuditStream::OperatorActs, 0));
    assert_eq!(
        crate::audit::records(&block.unwrap().unwrap().records).count(),
        1
    );
}

#[tokio::test]
async fn a_unit_that_keeps_state_between_its_runs_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let calls = AtomicI64::default();
    let write = unit(
        calls,
        |_| vec![Lock::Directory],
        |_, _| Ok::<_, StoreError>(()),
        |calls, tx, ()| {
            let call = calls.fetch_add(1, Ordering::Relaxed);
            queue(tx, &format!("d{call}"))
        },
    );
    let error = store.write(write).await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("other values"), "{cause}");
    assert!(queued(&store).is_empty());
}

#[tokio::test]
async fn a_unit_that_writes_what_it_did_not_lock_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let write = |locks: Vec<Lock<'static>>, device: &'static str| {
        unit(
            locks,
            |locks| locks.clone(),
            |_, _| Ok::<_, StoreError>(()),
            move |_, tx, ()| queue(tx, device),
        )
    };
    store.write(write(vec![D1], "d1")).await.unwrap();
    store
        .write(write(vec![Lock::Directory], "d2"))
        .await
        .unwrap();
    let error = store.write(write(vec![D1], "d3")).await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("did not name it"), "{cause}");
    assert_eq!(queued(&store), ["d1", "d2"]);
}
