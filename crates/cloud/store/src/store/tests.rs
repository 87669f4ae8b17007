use ids::{GenerationId, HubName};

use super::*;
use crate::{
    AuthKind, DeviceRange, HubRow, IdentityKind, IdentityRow, LinkRow, Listed, Lock, PageRows,
    Secret, ServiceRow, TwinParts, TwinRow, Tx, unit,
};

mod damaged;
mod damaged_readers;
mod damaged_registrations;
mod directory;
mod reads;
mod services;
mod units;

fn open(directory: &Path) -> Store {
    Store::open(
        DataDirectory::lock(directory).unwrap(),
        StoreOptions::default(),
    )
    .unwrap()
}

fn hub() -> HubName {
    HubName::parse("hub").unwrap()
}

fn device(id: &str) -> IdentityRow {
    IdentityRow {
        id: 0,
        hub: hub(),
        device_id: id.parse().unwrap(),
        module_id: None,
        generation_id: GenerationId::from_number(1),
        revision: 1,
        enabled: true,
        status_reason: None,
        status_updated: 0,
        auth_kind: AuthKind::Sas,
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

/// A page of devices with their whole twins.
fn devices_with_twins(
    view: &View<'_>,
    after: &str,
    limit: usize,
) -> Result<PageRows<Listed<(IdentityRow, TwinRow)>>, StoreError> {
    let (hub, range) = (hub(), DeviceRange::all());
    let devices = (&hub, IdentityKind::Device);
    view.twins_in_range(devices, &range, (after, ""), TwinParts::ALL, limit)
}

fn exists(store: &Store, id: &str) -> bool {
    let row = device(id);
    store
        .read(|view| view.identity(row.key()))
        .unwrap()
        .is_some()
}

#[tokio::test]
async fn what_is_written_is_there_after_opening_again() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    insert(&store, "a").await.unwrap();
    drop(store);
    assert!(exists(&open(directory.path()), "a"));
}
