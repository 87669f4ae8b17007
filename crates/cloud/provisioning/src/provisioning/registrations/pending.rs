//! Registrations under way: begun, gone on with, ended, each in one transaction.

use ids::{Etag, RegistrationId, Timestamp};
use registry::{DeviceLocation, Rows, StorageError};
use serde_json::Value;
use store::{
    AllocationRow, PendingRow, RegistrationRow, RemoteTaskKind, Secret, StoreError, Tx, View,
};
use wire::error::DpsErrorCode;

use super::assign::enter_issued;
use super::places::{assigned_to, require_entry};
use super::{end_pending, fail, group_id, new_row, record, write_row};
use crate::detail::Detail;
use crate::pending::{AllocationNote, AllocationRecord, PendingRegistration};
use crate::placement::Plan;
use crate::provisioning::Provisioning;
use crate::registration::{
    Assign, AssignError, Choice, FailRegistration, Registrant, RegistrationFailure,
    RegistrationRecord,
};

/// The status of a record whose registration is under way.
pub(super) const ASSIGNING: &str = "assigning";
/// Notes kept of one registration, and of one service.
const NOTES: (usize, i64) = (5, 10_000);

/// The error code of a registration whose attempt cannot be read: an internal error, which a device tries again after.
const LOST: DpsErrorCode = DpsErrorCode::InternalServerError;

/// A registration under way as it was read: what is done with it holds only if nobody has changed it since.
#[derive(Debug, Clone, PartialEq)]
pub struct PendingHandle {
    /// The service.
    pub id_scope: String,
    /// The registration id in lower case.
    pub folded: String,
    /// Who is asked.
    pub destination: String,
    /// What is under way.
    pub pending: PendingRegistration,
    /// Of its row: never given out twice.
    id: i64,
    revision: i64,
}

/// Whom as many ask as may: what would ask them as well is left for later.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Busy {
    /// Destinations.
    pub destinations: Vec<String>,
    /// Services, by ID scope.
    pub services: Vec<String>,
}

impl Provisioning {
    /// Writes down that a registration waits for a webhook. When the same one waits already, it goes on waiting.
    ///
    /// # Errors
    /// When the enrollment has changed since the proof, or the storage fails.
    pub async fn begin_pending(
        &self,
        pending: PendingRegistration,
        now: Timestamp,
    ) -> Result<RegistrationRecord, AssignError> {
        let (service, etag) = (self.service(), self.registry.fresh_etag());
        let begin = move |tx: &Tx<'_>| {
            let id_scope = service.id_scope.as_str();
            require_entry(tx, id_scope, &pending.registrant)?;
            let folded = &pending.registrant.registration_id.folded().to_owned();
            let stored = tx.registration(id_scope, folded)?;
            let rows = Rows { file: tx.file() };
            let waiting = match &stored {
                Some(stored) if stored.status == ASSIGNING => tx.pending(id_scope, folded)?,
                _ => None,
            };
            let mut pending = pending;
            if let Some(row) = &waiting {
                let waiting = read(rows, row)?;
                if waiting.is_same_as(&pending) {
                    let row = stored.ok_or_else(|| rows.damaged("status", "is another's"))?;
                    return Ok(record(rows, row, &service)?);
                }
                // What has been begun elsewhere is gone on with, or taken back.
                pending.plan = waiting.plan;
            }
            enter_issued(tx, id_scope, &pending.registrant, now)?;
            // Entered once: whoever goes on with it only hands it out.
            pending.registrant.issued = None;
            match &waiting {
                Some(row) => {
                    let next = (row.id, row.revision + 1);
                    tx.update_pending(&write(rows, id_scope, next, &pending)?)?;
                }
                None => {
                    end_pending(tx, id_scope, folded, None, now)?;
                    tx.insert_pending(&write(rows, id_scope, (0, 0), &pending)?)?;
                }
            }
            let is_new = stored.is_none();
            let row = assigning(stored, &pending, &etag, now);
            write_row(tx, id_scope, &row, is_new)?;
            Ok(record(rows, row, &service)?)
        };
        self.registry.store().for_device(begin).await
    }

    /// Registrations of all services whose time has come, the longest due first; none of those that are `busy`.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn pending_due(
        &self,
        now: Timestamp,
        busy: Busy,
        limit: usize,
    ) -> Result<Vec<PendingHandle>, StorageError> {
        let scan = move |view: &View<'_>| {
            let rows = Rows { file: view.file() };
            let destinations = Value::from(busy.destinations).to_string();
            let services = Value::from(busy.services).to_string();
            let busy = (destinations.as_str(), services.as_str());
            let found = view.pending_due(now.ticks(), busy, limit)?.into_iter();
            let read = found.map(|row| (read(rows, &row), row));
            Ok::<_, StorageError>(read.collect::<Vec<_>>())
        };
        let mut due = Vec::new();
        for (pending, row) in self.registry.store().scan_shortly(scan).await? {
            match pending {
                Ok(pending) => due.push(PendingHandle {
                    pending,
                    id_scope: row.id_scope,
                    folded: row.folded,
                    destination: row.destination,
                    id: row.id,
                    revision: row.revision,
                }),
                Err(error) => self.lose_pending(row, &error, now).await?,
            }
        }
        Ok(due)
    }

    /// Ends one that cannot be read, which would otherwise be in the way of all others for ever.
    async fn lose_pending(
        &self,
        row: PendingRow,
        error: &StorageError,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        tracing::error!(
            error = error as &dyn std::error::Error,
            registration.id = row.folded,
            "registration {} was under way and cannot be read; it has failed",
            row.folded
        );
        let etag = self.registry.fresh_etag();
        let lose = move |tx: &Tx<'_>| {
            tx.delete_pending(&row.id_scope, &row.folded)?;
            let stored = tx.registration(&row.id_scope, &row.folded)?;
            if let Some(mut stored) = stored.filter(|stored| stored.status == ASSIGNING) {
                "failed".clone_into(&mut stored.status);
                let message = "what was kept of this registration cannot be read; register again";
                (stored.error_code, stored.error_message) =
                    (Some(LOST.code()), Some(message.to_owned()));
                stored.etag = etag.to_string();
                stored.updated = now.ticks();
                tx.update_registration(&stored)?;
            }
            Ok(())
        };
        self.registry.store().of_itself(lose).await
    }

    /// When the next registration under way is due after `now`.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn next_pending(&self, now: Timestamp) -> Result<Option<Timestamp>, StorageError> {
        let next = |view: &View<'_>| view.next_pending(now.ticks());
        let next = self.registry.store().read::<_, StoreError>(next)?;
        Ok(next.map(Timestamp::from_ticks))
    }

    /// Ends a registration under way with what was chosen; one that cannot be assigned so ends as `failed`, which `as_failure`
    /// words. `None` when it is no longer the one of the ticket: nothing was written then; or when a remote hub has to be asked
    /// next.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn finish_pending(
        &self,
        handle: PendingHandle,
        choice: Choice,
        mut note: AllocationNote,
        as_failure: fn(&AssignError) -> RegistrationFailure,
        now: Timestamp,
    ) -> Result<Option<RegistrationRecord>, StorageError> {
        let registrant = handle.pending.registrant.clone();
        let assign = Assign {
            registrant,
            // The note of the webhook says what was passed over.
            choice: choice.clone(),
        };
        let mut job = self.assign_job(assign, now);
        let (current, served) = (self.service.clone(), self.inner.services.clone());
        let etag = self.registry.fresh_etag();
        let settle = move |tx: &Tx<'_>| {
            if !handle.stands(tx, now)? {
                return Ok(None);
            }
            let service = served.service_in(tx, &current)?;
            job.service = service.clone();
            let record = match job.run(tx) {
                Ok(assigned) => assigned.registration,
                Err(AssignError::Storage(error)) => return Err(error),
                Err(AssignError::NeedsRemoteHub) => {
                    let next = handle.pending.clone().placing(choice, note, now);
                    handle.rewrite(tx, &next)?;
                    return Ok(None);
                }
                Err(error) => {
                    let failure = as_failure(&error);
                    note.failure = Some(failure.message.clone());
                    fail(tx, &service, handle.failed(failure), &etag, now)?
                }
            };
            handle.write_note(tx, &note, now)?;
            Ok(Some(record))
        };
        self.registry.store().of_itself(settle).await
    }

    /// Ends a registration under way as failed. `None` when it is no longer the one of the ticket.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn give_up_pending(
        &self,
        handle: PendingHandle,
        failure: RegistrationFailure,
        note: AllocationNote,
        now: Timestamp,
    ) -> Result<Option<RegistrationRecord>, StorageError> {
        let service = self.service();
        let etag = self.registry.fresh_etag();
        let give_up = move |tx: &Tx<'_>| {
            if !handle.stands(tx, now)? {
                return Ok(None);
            }
            let record = fail(tx, &service, handle.failed(failure), &etag, now)?;
            handle.write_note(tx, &note, now)?;
            Ok::<_, StorageError>(Some(record))
        };
        self.registry.store().of_itself(give_up).await
    }

    /// Puts off a registration under way. Does nothing when it is no longer the one of the ticket.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn postpone_pending(
        &self,
        handle: PendingHandle,
        pending: PendingRegistration,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let postpone = move |tx: &Tx<'_>| {
            if handle.stands(tx, now)? {
                handle.rewrite(tx, &pending)?;
            }
            Ok(())
        };
        self.registry.store().of_itself(postpone).await
    }

    /// Whether nothing has become of a registration under way since its ticket was read.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn is_as_before(&self, handle: &PendingHandle) -> Result<bool, StorageError> {
        self.registry.store().read(|view| handle.is_current(view))
    }

    /// What the latest custom allocations of a registration were asked and answered, the newest first.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn allocations(
        &self,
        id: &RegistrationId,
    ) -> Result<Vec<AllocationRecord>, StorageError> {
        let (id_scope, folded) = (self.id_scope(), id.folded().to_owned());
        let scan = move |view: &View<'_>| {
            let rows = Rows { file: view.file() };
            let found = view.allocations(&id_scope, &folded, NOTES.0)?.into_iter();
            let read = |row| read_note(rows, row);
            found.map(read).collect::<Result<_, StorageError>>()
        };
        self.registry.store().scan(scan).await
    }

    /// One note of an allocation.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn allocation(&self, id: i64) -> Result<Option<AllocationRecord>, StorageError> {
        let id_scope = self.id_scope();
        self.registry.store().read(|view| {
            let rows = Rows { file: view.file() };
            let row = view.allocation(&id_scope, id)?;
            row.map(|row| read_note(rows, row)).transpose()
        })
    }
}

impl PendingHandle {
    /// What tells one try from another: also from one of the same registration id that was begun after this one had ended.
    #[must_use]
    pub fn version(&self) -> (i64, i64) {
        (self.id, self.revision)
    }

    fn is_current(&self, view: &View<'_>) -> Result<bool, StorageError> {
        let stored = view.pending(&self.id_scope, &self.folded)?;
        Ok(stored.is_some_and(|stored| (stored.id, stored.revision) == self.version()))
    }

    /// Whether it is the one that is stored, and its record waits for it. A row that no record waits for is left over: it ends here,
    /// and what the record says stays.
    pub(super) fn stands(&self, tx: &Tx<'_>, now: Timestamp) -> Result<bool, StorageError> {
        if !self.is_current(tx)? {
            return Ok(false);
        }
        let stored = tx.registration(&self.id_scope, &self.folded)?;
        if stored.as_ref().is_some_and(|row| row.status == ASSIGNING) {
            return Ok(true);
        }
        tracing::error!(
            registration.id = self.folded,
            "registration {} was under way although its record did not wait for it; the attempt is dropped",
            self.folded
        );
        let rows = Rows { file: tx.file() };
        let place = stored.map(|row| assigned_to(rows, &row)).transpose()?;
        let place = place.flatten();
        end_pending(tx, &self.id_scope, &self.folded, place.as_ref(), now)?;
        Ok(false)
    }

    pub(super) fn failed(&self, failure: RegistrationFailure) -> FailRegistration {
        let registrant = &self.pending.registrant;
        FailRegistration {
            registration_id: registrant.registration_id.clone(),
            enrollment: registrant.enrollment.clone(),
            failure,
        }
    }

    /// The same registration, changed; the ticket for it.
    pub(super) fn rewrite(
        &self,
        tx: &Tx<'_>,
        pending: &PendingRegistration,
    ) -> Result<Self, StorageError> {
        let rows = Rows { file: tx.file() };
        let next = (self.id, self.revision + 1);
        let row = write(rows, &self.id_scope, next, pending)?;
        tx.update_pending(&row)?;
        Ok(Self {
            revision: row.revision,
            destination: row.destination,
            pending: pending.clone(),
            ..self.clone()
        })
    }

    pub(super) fn write_note(
        &self,
        tx: &Tx<'_>,
        note: &AllocationNote,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        write_note(tx, &self.id_scope, &self.pending.registrant, note, now)
    }
}

pub(super) fn write_note(
    tx: &Tx<'_>,
    id_scope: &str,
    registrant: &Registrant,
    note: &AllocationNote,
    now: Timestamp,
) -> Result<(), StorageError> {
    let rows = Rows { file: tx.file() };
    let document =
        serde_json::to_string(note).map_err(|error| rows.damaged("allocation", error))?;
    let row = AllocationRow {
        id: 0,
        folded: registrant.registration_id.folded().to_owned(),
        at: now.ticks(),
        document,
    };
    Ok(tx.insert_allocation(id_scope, &row, NOTES)?)
}

/// Sees to it that a device is removed which a plan may have made in a remote hub, unless it `stays` or is somebody's.
pub(super) fn clean_up(
    tx: &Tx<'_>,
    plan: Option<&Plan>,
    stays: Option<&DeviceLocation>,
    now: Timestamp,
) -> Result<(), StorageError> {
    let Some(made) = plan
        .and_then(Plan::made)
        .filter(|made| Some(*made) != stays)
    else {
        return Ok(());
    };
    // Whoever registers for it is not to find it gone.
    let (hub, device) = (made.hub.as_str(), made.device_id.as_str());
    if tx.registration_of_device(hub, device)?.is_none() {
        tx.put_remote_task((hub, device), RemoteTaskKind::Remove, now.ticks())?;
    }
    Ok(())
}

fn assigning(
    stored: Option<RegistrationRow>,
    pending: &PendingRegistration,
    etag: &Etag,
    now: Timestamp,
) -> RegistrationRow {
    let registrant = &pending.registrant;
    let mut row = stored.unwrap_or_else(|| new_row(&registrant.registration_id, now));
    row.group_id = group_id(&registrant.enrollment);
    ASSIGNING.clone_into(&mut row.status);
    row.substatus = None;
    (row.error_code, row.error_message) = (None, None);
    row.etag = etag.to_string();
    // By it the same device is recognised when it polls.
    row.detail = registrant.detail.as_ref().map(Detail::to_stored);
    row.updated = now.ticks();
    row
}

pub(super) fn read(rows: Rows<'_>, row: &PendingRow) -> Result<PendingRegistration, StorageError> {
    serde_json::from_str(row.document.reveal())
        .map_err(|error| rows.damaged("registration under way", error))
}

fn write(
    rows: Rows<'_>,
    id_scope: &str,
    (id, revision): (i64, i64),
    pending: &PendingRegistration,
) -> Result<PendingRow, StorageError> {
    let document = serde_json::to_string(pending)
        .map_err(|error| rows.damaged("registration under way", error))?;
    Ok(PendingRow {
        id,
        id_scope: id_scope.to_owned(),
        folded: pending.registrant.registration_id.folded().to_owned(),
        revision,
        destination: pending.question.destination(),
        due: pending.due.ticks(),
        document: Secret::new(document),
    })
}

fn read_note(rows: Rows<'_>, row: AllocationRow) -> Result<AllocationRecord, StorageError> {
    Ok(AllocationRecord {
        id: row.id,
        registration_id: rows.id("registration id", row.folded.try_into())?,
        at: Timestamp::from_ticks(row.at),
        note: serde_json::from_str(&row.document)
            .map_err(|error| rows.damaged("allocation", error))?,
    })
}

#[cfg(test)]
mod tests;
