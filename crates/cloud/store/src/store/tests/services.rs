//! What services and registrations may not take from each other.

use ids::{Etag, RegistrationId};

use super::*;
use crate::{DeviceLocation, RegistrationStatus};

fn id_of(text: &str) -> RegistrationId {
    RegistrationId::parse(text).unwrap()
}

fn refusal(id: usize) -> crate::RefusalRow {
    crate::RefusalRow {
        number: 0,
        registration_id: id_of(&format!("D{id}")),
        reason: "not_enrolled".to_owned(),
        error_code: 401_002,
        credential: [0; 32],
        times: 1,
        first: 0,
        last: 0,
        report: "{}".to_owned(),
    }
}

/// What one service keeps does not depend on how much another writes.
#[tokio::test]
async fn a_flood_at_one_service_drops_nothing_of_another() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let flood = |tx: &Tx<'_>| {
        let note = |id: usize| crate::AllocationRow {
            id: 0,
            registration_id: id_of(&format!("d{id}")),
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
    let refusals = |id_scope: &str, id: Option<&str>, before: i64| {
        let id = id.map(id_of);
        let filter = crate::RefusalFilter {
            id_scope,
            registration_id: id.as_ref(),
            from: i64::MIN,
            to: i64::MAX,
            before,
        };
        store.read(|view| view.refusals(filter, 1000)).unwrap()
    };
    let quiet = refusals("quiet", None, i64::MAX);
    assert_eq!((quiet.len(), quiet[0].times), (1, 2));
    let loud = refusals("loud", None, i64::MAX);
    let ids: Vec<&str> = loud
        .iter()
        .map(|row| row.registration_id.as_str())
        .collect();
    let expected: Vec<String> = (40..50).rev().map(|id| format!("D{id}")).collect();
    assert_eq!(ids, expected);
    assert_eq!(refusals("loud", None, loud[3].number).len(), 6);
    assert_eq!(refusals("loud", Some("d45"), i64::MAX).len(), 1);
    let notes = |id_scope: &str, id: &str| {
        let read = store.read(|view| view.allocations(id_scope, &id_of(id), 10));
        read.unwrap().len()
    };
    assert_eq!(notes("quiet", "d0"), 1);
    assert_eq!((notes("loud", "d39"), notes("loud", "d40")), (0, 1));
}

fn device(device_id: &str) -> DeviceLocation {
    DeviceLocation {
        hub: "hub".parse().unwrap(),
        device_id: device_id.parse().unwrap(),
    }
}

fn etag(text: &str) -> Etag {
    Etag::parse(text).unwrap()
}

fn registration(spelled: &str, device_id: &str) -> crate::RegistrationRow {
    crate::RegistrationRow {
        id: 0,
        registration_id: id_of(spelled),
        group: None,
        status: RegistrationStatus::Assigned,
        substatus: None,
        device: Some(device(device_id)),
        error_code: None,
        error_message: None,
        etag: etag("1"),
        payload: None,
        detail: None,
        created: 0,
        updated: 0,
    }
}

async fn prepare_services(store: &Store) {
    let prepare = write(|tx| {
        for id_scope in ["0neA", "0neB"] {
            let service = ServiceRow {
                id_scope: id_scope.parse().unwrap(),
                operation_key: Secret::new("k"),
                name: id_scope.parse().unwrap(),
                host: None,
                allocation_policy: "hashed".to_owned(),
            };
            tx.insert_service(&service, 1)?;
        }
        Ok(())
    });
    store.write(prepare).await.unwrap();
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
        prepare_services(&store).await;
        let insert = |(id_scope, spelled, device): (&'static str, &'static str, &'static str)| {
            let row = registration(spelled, device);
            store.write(write(move |tx| tx.insert_registration(id_scope, &row)))
        };
        insert(first).await.unwrap();
        insert(second).await.unwrap_err();
        insert(("0neA", "other", "Other")).await.unwrap();
        let moved = write(|tx| {
            let mut row = tx.registration("0neA", &id_of("other"))?.unwrap();
            row.device = tx
                .registration("0neA", &id_of("a"))?
                .or(tx.registration("0neA", &id_of("b"))?)
                .unwrap()
                .device;
            tx.update_registration("0neA", &etag("1"), &row)
        });
        store.write(moved).await.unwrap_err();
    }
}

/// Why a registration of the test below is refused.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("registration {owner} has the device")]
    Taken { owner: RegistrationId },
    #[error(transparent)]
    Storage(#[from] StoreError),
}

/// Registers without a look at who has the device.
struct Register {
    spelled: &'static str,
    runs: Arc<AtomicU64>,
}

impl Unit for Register {
    type Plan = ();
    type Output = ();
    type Error = Refused;

    fn locks(&self) -> Vec<Lock<'_>> {
        vec![Lock::Directory]
    }

    fn decide(&self, _: &View<'_>) -> Result<(), Refused> {
        Ok(())
    }

    fn refuse_taken(&self, view: &View<'_>) -> Result<(), Refused> {
        let DeviceLocation { hub, device_id } = device("device");
        match view.registration_of_device(&hub, &device_id)? {
            Some(owner) => Err(Refused::Taken {
                owner: owner.registration_id,
            }),
            None => Ok(()),
        }
    }

    fn apply(&self, tx: &Tx<'_>, (): ()) -> Result<(), StoreError> {
        self.runs.fetch_add(1, Ordering::Relaxed);
        tx.insert_registration("0neA", &registration(self.spelled, "device"))
    }
}

#[tokio::test]
async fn what_a_constraint_refuses_each_time_is_a_refusal_that_the_unit_names() {
    for rehearse in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let options = StoreOptions {
            rehearse,
            ..StoreOptions::default()
        };
        let locked = DataDirectory::lock(directory.path()).unwrap();
        let store = Store::open(locked, options).unwrap();
        prepare_services(&store).await;
        let runs = Arc::<AtomicU64>::default();
        let register = |spelled| Register {
            spelled,
            runs: runs.clone(),
        };
        store.write(register("first")).await.unwrap();
        runs.store(0, Ordering::Relaxed);
        match store.write(register("second")).await {
            Err(Refused::Taken { owner }) => assert_eq!(owner, id_of("first")),
            other => panic!("{other:?}"),
        }
        assert!(runs.load(Ordering::Relaxed) >= 2, "it ran again first");
        let second = store.read(|view| view.registration("0neA", &id_of("second")));
        assert_eq!(second.unwrap(), None);
        // The key itself is taken by the same registration: it has the device.
        match store.write(register("first")).await {
            Err(Refused::Taken { owner }) => assert_eq!(owner, id_of("first")),
            other => panic!("{other:?}"),
        }
    }
}

/// A row of another version than the one that was read lets the unit run again, and is an error
/// when it has another one each time.
#[tokio::test]
async fn an_update_of_another_version_writes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    prepare_services(&store).await;
    let row = registration("a", "a");
    let insert = write(move |tx| tx.insert_registration("0neA", &row));
    store.write(insert).await.unwrap();
    let update = |before: &'static str| {
        write(move |tx| {
            let mut row = tx.registration("0neA", &id_of("a"))?.unwrap();
            row.etag = etag("2");
            tx.update_registration("0neA", &etag(before), &row)
        })
    };
    store.write(update("0")).await.unwrap_err();
    let stored = || {
        let row = store.read(|view| view.registration("0neA", &id_of("a")));
        row.unwrap().unwrap().etag
    };
    assert_eq!(stored(), etag("1"));
    store.write(update("1")).await.unwrap();
    assert_eq!(stored(), etag("2"));
}
