//! Stored values that cannot be read.

use ids::{Etag, IdScope, RegistrationId};

use super::*;
use crate::{DeviceLocation, PendingRow, RegistrationRow, RegistrationStatus};

fn id(text: &str) -> RegistrationId {
    RegistrationId::parse(text).unwrap()
}

fn registration() -> RegistrationRow {
    RegistrationRow {
        id: 0,
        registration_id: id("d1"),
        group: Some("group".parse().unwrap()),
        status: RegistrationStatus::Assigned,
        substatus: None,
        device: Some(DeviceLocation {
            hub: "hub".parse().unwrap(),
            device_id: "d1".parse().unwrap(),
        }),
        error_code: None,
        error_message: None,
        etag: Etag::parse("1").unwrap(),
        payload: None,
        detail: None,
        created: 0,
        updated: 0,
    }
}

fn pending(text: &str) -> PendingRow {
    PendingRow {
        id: 0,
        id_scope: IdScope::parse("0neA").unwrap(),
        registration_id: id(text),
        revision: 0,
        destination: "hooks.example".to_owned(),
        due: 1,
        document: Secret::new("{}"),
    }
}

/// Writes behind the back of the store.
async fn damage(store: &Store, sql: &'static str) {
    let damage = write(move |tx| tx.write(Lock::Directory, sql, []).map(drop));
    store.write(damage).await.unwrap();
}

fn chain(error: &StoreError) -> String {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    format!("{error}: {}", cause.unwrap_or_default())
}

#[tokio::test]
async fn an_error_names_the_column_and_not_the_value() {
    for (column, sql) in [
        ("status", "UPDATE registrations SET status = 'no such'"),
        (
            "substatus",
            "UPDATE registrations SET substatus = 'no such'",
        ),
        ("hub", "UPDATE registrations SET hub = 'no such'"),
        (
            "device id",
            "UPDATE registrations SET device_id = 'no such'",
        ),
        (
            "enrollment group id",
            "UPDATE registrations SET group_id = 'no such'",
        ),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path());
        let insert = write(|tx| tx.insert_registration("0neA", &registration()));
        store.write(insert).await.unwrap();
        damage(&store, sql).await;
        let read = store.read(|view| view.registration("0neA", &id("d1")));
        let error = chain(&read.unwrap_err());
        assert!(
            error.contains(column) && !error.contains("no such"),
            "{error}"
        );
        // What it takes to delete it can be read.
        let etag = store.read(|view| view.registration_etag("0neA", &id("d1")));
        assert_eq!(etag.unwrap(), Some(Etag::parse("1").unwrap()));
    }
}

#[tokio::test]
async fn a_pending_row_that_does_not_say_whose_it_is_does_not_stop_the_others() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let insert = write(|tx| {
        tx.insert_pending(&pending("d1"))?;
        tx.insert_pending(&pending("d2"))
    });
    store.write(insert).await.unwrap();
    damage(
        &store,
        "UPDATE pending_registrations SET folded = 'no such' WHERE folded = 'd1'",
    )
    .await;
    let due = || store.read(|view| view.pending_due(2, (&[], &[]), 10));
    let found = due().unwrap();
    assert_eq!(found.rows.len(), 1);
    assert_eq!(found.rows[0].registration_id, id("d2"));
    let (row, error) = &found.unreadable[0];
    let (row, error) = (*row, chain(error));
    assert!(
        error.contains("registration id") && !error.contains("no such"),
        "{error}"
    );
    let delete = write(move |tx| tx.delete_unreadable_pending(row));
    store.write(delete).await.unwrap();
    let found = due().unwrap();
    assert_eq!((found.rows.len(), found.unreadable.len()), (1, 0));
}

#[tokio::test]
async fn a_record_that_cannot_be_read_keeps_its_place_in_its_group() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let insert = write(|tx| {
        for name in ["d1", "d2", "d3"] {
            let row = RegistrationRow {
                registration_id: id(name),
                device: None,
                ..registration()
            };
            tx.insert_registration("0neA", &row)?;
        }
        Ok(())
    });
    store.write(insert).await.unwrap();
    damage(
        &store,
        "UPDATE registrations SET status = 'no such' WHERE folded = 'd2'",
    )
    .await;
    let group = "group".parse().unwrap();
    let listed = store.read(|view| view.registrations_after("0neA", &group, 0, 10));
    let listed = listed.unwrap().rows;
    let readable: Vec<_> = listed
        .iter()
        .map(|listed| (listed.key.as_str(), listed.row.is_ok()))
        .collect();
    assert_eq!(readable, [("d1", true), ("d2", false), ("d3", true)]);
}
