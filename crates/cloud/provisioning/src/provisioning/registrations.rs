//! Registration records.

use ids::{DeviceId, EnrollmentId, Etag, HubName, RegistrationId, Timestamp};
use registry::{Continuation, DeviceLocation, IfMatch, Page, PageRequest, Rows, StorageError};
use serde_json::json;
use store::audit::Book;
use store::{RegistrationRow, Tx, View};

use super::Provisioning;
use super::act::Act;
use crate::detail::Detail;
use crate::registration::{
    EnrolledBy, FailRegistration, RegistrationError, RegistrationRecord, RegistrationState,
    Substatus,
};
use crate::service::ProvisioningService;

mod assign;
mod judge;
mod pending;
mod place;
mod places;

use pending::ASSIGNING;
pub use place::{CompletedPlacement, MovedData, PlacementOutcome};

/// The status of a record whose device was refused because its enrollment is disabled.
const DISABLED: &str = "disabled";

pub use pending::{Busy, PendingHandle};

fn substatus(rows: Rows<'_>, text: Option<&str>) -> Result<Substatus, StorageError> {
    text.and_then(Substatus::named)
        .ok_or_else(|| rows.damaged("substatus", "is not one"))
}

/// What a device was told of the assignment that stands; also while another attempt is under way or has failed, if it is still known.
fn told(row: &RegistrationRow) -> Option<Substatus> {
    Substatus::named(row.substatus.as_deref()?)
}

fn record(
    rows: Rows<'_>,
    row: RegistrationRow,
    service: &ProvisioningService,
) -> Result<RegistrationRecord, StorageError> {
    let assignment = match (row.hub, row.device_id) {
        (Some(hub), Some(device)) => {
            let hub: HubName = rows.id("hub", hub.try_into())?;
            Some((hub, rows.id("device id", DeviceId::try_from(device))?))
        }
        _ => None,
    };
    let json = |text: Option<String>| {
        text.map(|text| rows.json("registration", &text))
            .transpose()
    };
    let state = match (row.status.as_str(), assignment) {
        ("assigned", Some((hub, device_id))) => RegistrationState::Assigned {
            host: service.hub(&hub).map(|linked| linked.host.clone()),
            hub,
            device_id,
            substatus: substatus(rows, row.substatus.as_deref())?,
        },
        (ASSIGNING, previous) => RegistrationState::Assigning { previous },
        (DISABLED, previous) => RegistrationState::Disabled { previous },
        (_, previous) => RegistrationState::Failed {
            code: row.error_code.unwrap_or_default(),
            message: row.error_message.unwrap_or_default(),
            previous,
        },
    };
    let group = row
        .group_id
        .map(|group| rows.id("enrollment group id", EnrollmentId::try_from(group)));
    Ok(RegistrationRecord {
        registration_id: rows.id("registration id", row.spelled.try_into())?,
        enrollment: group
            .transpose()?
            .map_or(EnrolledBy::Individual, EnrolledBy::Group),
        state,
        etag: rows.id("etag", row.etag.try_into())?,
        created: Timestamp::from_ticks(row.created),
        updated: Timestamp::from_ticks(row.updated),
        payload: json(row.payload)?,
        detail: row.detail.map(Detail::stored),
    })
}

fn group_id(enrollment: &EnrolledBy) -> Option<String> {
    match enrollment {
        EnrolledBy::Individual => None,
        EnrolledBy::Group(group) => Some(group.to_string()),
    }
}

impl Provisioning {
    /// Records that an attempt failed. An assignment from before still stands.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn fail_registration(
        &self,
        failed: FailRegistration,
        now: Timestamp,
    ) -> Result<RegistrationRecord, StorageError> {
        let service = self.service();
        let etag = self.registry.fresh_etag();
        self.registry
            .store()
            .for_device(move |tx| fail(tx, &service, failed, &etag, now))
            .await
    }

    /// Reads a record.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn registration(
        &self,
        id: &RegistrationId,
    ) -> Result<Option<RegistrationRecord>, StorageError> {
        let service = self.service();
        self.registry.store().read(|view| {
            let row = view.registration(service.id_scope.as_str(), id.folded())?;
            row.map(|row| record(Rows { file: view.file() }, row, &service))
                .transpose()
        })
    }

    /// Deletes a record; the hub device stays. The next registration is a first one.
    ///
    /// # Errors
    /// See [`RegistrationError`].
    pub async fn delete_registration(
        &self,
        id: &RegistrationId,
        if_match: &IfMatch,
        now: Timestamp,
    ) -> Result<(), RegistrationError> {
        let (id_scope, id, if_match) = (self.id_scope(), id.clone(), if_match.clone());
        let target = id.to_string();
        let work = move |tx: &Tx<'_>| delete(tx, &id_scope, &id, &if_match, now);
        self.act(Act::DeleteRegistration, target, work).await
    }

    /// Lists the records of a group in the order in which they were made.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn list_registrations(
        &self,
        group: &EnrollmentId,
        page: &PageRequest,
    ) -> Result<Page<RegistrationRecord>, StorageError> {
        let (service, group) = (self.service(), group.folded());
        let after = match page.key() {
            "" => 0,
            // After a place that no listing of this kind has handed out there is nothing.
            place => place.parse().unwrap_or(i64::MAX),
        };
        let limit = page.limit();
        let scan = move |view: &View<'_>| {
            let found =
                view.registrations_after(service.id_scope.as_str(), &group, after, limit)?;
            let rows = Rows { file: view.file() };
            let records = found
                .rows
                .into_iter()
                .map(|row| Ok((row.id, record(rows, row, &service)?)))
                .collect::<Result<Vec<_>, StorageError>>()?;
            Ok::<_, StorageError>((records, found.more))
        };
        let (items, more) = self.registry.store().scan(scan).await?;
        let page = Page::of(items, more, |(id, _)| Continuation::after(&id.to_string()));
        Ok(Page {
            items: page.items.into_iter().map(|(_, item)| item).collect(),
            continuation: page.continuation,
        })
    }
}

/// Writes down that a device was refused because the entry that decides about it is disabled. What was assigned stays in the record and
/// at the hub, for when the entry is enabled again.
pub(super) fn disable(
    tx: &Tx<'_>,
    id_scope: &str,
    (id, enrollment): (&RegistrationId, &EnrolledBy),
    etag: &Etag,
    now: Timestamp,
) -> Result<(), StorageError> {
    let (kind, folded, group) = match enrollment {
        EnrolledBy::Individual => ("individual", id.folded().to_owned(), None),
        EnrolledBy::Group(group) => ("group", group.folded(), Some(group.to_string())),
    };
    // Somebody may have enabled or deleted it since.
    let entry = tx.enrollment(id_scope, kind, &folded)?;
    if entry.is_none_or(|entry| entry.enabled) {
        return Ok(());
    }
    let stored = tx.registration(id_scope, id.folded())?;
    let is_new = stored.is_none();
    let mut row = stored.unwrap_or_else(|| new_row(id, now));
    // What came through another group is not this one's to end, and one refusal like the last changes nothing.
    let is_anothers = !is_new && group.is_some() && row.group_id != group;
    if is_anothers || row.status == DISABLED {
        return Ok(());
    }
    end_pending(tx, id_scope, &row.folded, None, now)?;
    row.group_id = group;
    DISABLED.clone_into(&mut row.status);
    (row.error_code, row.error_message) = (None, None);
    row.etag = etag.to_string();
    row.updated = now.ticks();
    write_row(tx, id_scope, &row, is_new)
}

fn delete(
    tx: &Tx<'_>,
    id_scope: &str,
    id: &RegistrationId,
    if_match: &IfMatch,
    now: Timestamp,
) -> Result<(), RegistrationError> {
    let stored = tx.registration(id_scope, id.folded())?;
    let Some(stored) = stored else {
        return Err(RegistrationError::NotFound(id.clone()));
    };
    let etag = Rows { file: tx.file() }.id("etag", Etag::parse(&stored.etag))?;
    if !if_match.allows(&etag) {
        return Err(RegistrationError::PreconditionFailed(id.clone()));
    }
    if tx.block(id_scope, id.folded())?.is_some() {
        return Err(RegistrationError::Blocked(id.clone()));
    }
    end_pending(tx, id_scope, &stored.folded, None, now)?;
    tx.delete_registration(id_scope, id.folded())?;
    Ok(())
}

fn fail(
    tx: &Tx<'_>,
    service: &ProvisioningService,
    failed: FailRegistration,
    etag: &Etag,
    now: Timestamp,
) -> Result<RegistrationRecord, StorageError> {
    let id_scope = service.id_scope.as_str();
    let stored = tx.registration(id_scope, failed.registration_id.folded())?;
    let is_new = stored.is_none();
    let mut row = stored.unwrap_or_else(|| new_row(&failed.registration_id, now));
    // Whatever the record says: no row stays behind that would be gone on with.
    end_pending(tx, id_scope, &row.folded, None, now)?;
    row.group_id = group_id(&failed.enrollment);
    "failed".clone_into(&mut row.status);
    row.substatus = None;
    (row.error_code, row.error_message) = (Some(failed.failure.code), Some(failed.failure.message));
    row.etag = etag.to_string();
    row.updated = now.ticks();
    write_row(tx, id_scope, &row, is_new)?;
    let told = json!({
        "kind": "registration.failed", "idScope": id_scope, "registrationId": row.spelled,
        "errorCode": row.error_code, "message": row.error_message,
    });
    tx.audit(Book::Decisions, now.ticks(), told.to_string().into_bytes())?;
    record(Rows { file: tx.file() }, row, service)
}

/// Forgets that a registration waits for somebody: it ends otherwise. What was made for it in a remote hub is removed there, unless
/// it `stays`.
pub(super) fn end_pending(
    tx: &Tx<'_>,
    id_scope: &str,
    folded: &str,
    stays: Option<&DeviceLocation>,
    now: Timestamp,
) -> Result<(), StorageError> {
    let Some(row) = tx.pending(id_scope, folded)? else {
        return Ok(());
    };
    let pending = pending::read(Rows { file: tx.file() }, &row)?;
    pending::clean_up(tx, pending.plan.as_ref(), stays, now)?;
    Ok(tx.delete_pending(id_scope, folded)?)
}

fn new_row(id: &RegistrationId, now: Timestamp) -> RegistrationRow {
    RegistrationRow {
        id: 0,
        folded: id.folded().to_owned(),
        spelled: id.as_str().to_owned(),
        group_id: None,
        status: String::new(),
        substatus: None,
        hub: None,
        device_id: None,
        error_code: None,
        error_message: None,
        etag: String::new(),
        payload: None,
        detail: None,
        created: now.ticks(),
        updated: now.ticks(),
    }
}

fn write_row(
    tx: &Tx<'_>,
    id_scope: &str,
    row: &RegistrationRow,
    is_new: bool,
) -> Result<(), StorageError> {
    match is_new {
        true => tx.insert_registration(id_scope, row)?,
        false => tx.update_registration(row)?,
    }
    Ok(())
}
