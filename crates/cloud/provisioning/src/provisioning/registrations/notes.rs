//! Notes of how hubs were chosen, for the operator.

use ids::{RegistrationId, Timestamp};
use registry::StorageError;
use store::{AllocationRow, StoreError, Tx, View};

use crate::pending::{AllocationNote, AllocationRecord};
use crate::provisioning::Provisioning;
use crate::registration::Registrant;

/// Notes kept of one registration, and of one service.
const NOTES: (usize, i64) = (5, 10_000);

impl Provisioning {
    /// How the latest hubs of a registration were chosen, the newest first.
    pub async fn allocations(
        &self,
        id: &RegistrationId,
    ) -> Result<Vec<AllocationRecord>, StorageError> {
        let (id_scope, id) = (self.id_scope(), id.clone());
        let scan = move |view: &View<'_>| {
            let found = view.allocations(&id_scope, &id, NOTES.0)?.into_iter();
            let read = |row| read_note(view, row);
            found.map(read).collect::<Result<_, StorageError>>()
        };
        self.registry.store().scan(scan).await
    }

    pub async fn allocation(&self, id: i64) -> Result<Option<AllocationRecord>, StorageError> {
        let id_scope = self.id_scope();
        self.registry.store().read(|view| {
            let row = view.allocation(&id_scope, id)?;
            row.map(|row| read_note(view, row)).transpose()
        })
    }
}

pub(super) fn write_note(
    tx: &Tx<'_>,
    id_scope: &str,
    registrant: &Registrant,
    note: &AllocationNote,
    now: Timestamp,
) -> Result<(), StoreError> {
    let document = serde_json::to_string(note).map_err(|error| tx.damaged("allocation", error))?;
    let row = AllocationRow {
        id: 0,
        registration_id: registrant.registration_id.clone(),
        at: now.ticks(),
        document,
    };
    tx.insert_allocation(id_scope, &row, NOTES)
}

fn read_note(view: &View<'_>, row: AllocationRow) -> Result<AllocationRecord, StorageError> {
    Ok(AllocationRecord {
        id: row.id,
        registration_id: row.registration_id,
        at: Timestamp::from_ticks(row.at),
        note: serde_json::from_str(&row.document)
            .map_err(|error| view.damaged("allocation", error))?,
    })
}
