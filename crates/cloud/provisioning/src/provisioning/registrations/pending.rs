//! Pending registrations: begun, found when they are due, ended when they cannot be read.

use std::sync::Arc;

use ids::{Etag, IdScope, Timestamp};
use registry::StorageError;
use store::{
    Lock, PendingDue, PendingRow, RegistrationRow, RegistrationStatus, Secret, StoreError, Tx,
    Unit, View, unit,
};
use wire::error::DpsErrorCode;

use super::EndPending;
use super::locations::{require_enrollment, require_issuer};
use super::rows::{RecordWrite, group, record};
use crate::detail::Detail;
use crate::pending::PendingRegistration;
use crate::pins::Proven;
use crate::provisioning::Provisioning;
use crate::provisioning::issued::{enter_issued, issued_locks};
use crate::provisioning::pins::{PinPlan, PinnedDevice};
use crate::registration::{AssignError, RegistrationRecord};
use crate::service::ProvisioningService;

mod finish;
mod handle;

pub use handle::PendingHandle;
pub(super) use handle::{HandleStep, OnHandle};

/// The error code of a registration whose attempt cannot be read: an internal error, after which
/// a device tries again.
const LOST: DpsErrorCode = DpsErrorCode::InternalServerError;

/// Destinations and services with as many requests as they may have: what would ask them as well
/// is left for later.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Busy {
    pub destinations: Vec<String>,
    /// ID scopes.
    pub services: Vec<IdScope>,
}

impl Provisioning {
    /// Writes down that a registration waits for a webhook or a remote hub. When the same one waits
    /// already, it goes on waiting. Refuses when the enrollment has changed since the proof.
    pub async fn begin_pending(
        &self,
        pending: PendingRegistration,
        now: Timestamp,
    ) -> Result<RegistrationRecord, AssignError> {
        let begin = BeginPending {
            service: self.service(),
            etag: self.registry.fresh_etag(),
            pin: pending.registrant.proven_pin(),
            pending,
            now,
        };
        self.registry.store().write_without_act(begin).await
    }

    /// Registrations of all services that are due, the longest due first; none of
    /// those that are `busy`.
    pub async fn pending_due(
        &self,
        now: Timestamp,
        busy: Busy,
        limit: usize,
    ) -> Result<Vec<PendingHandle>, StorageError> {
        let scan = move |view: &View<'_>| {
            let busy = (&*busy.destinations, &*busy.services);
            let PendingDue { rows, unreadable } = view.pending_due(now.ticks(), busy, limit)?;
            let rows = rows.into_iter().map(|row| (read(view, &row), row));
            Ok::<_, StorageError>((rows.collect::<Vec<_>>(), unreadable))
        };
        let (rows, unreadable) = self.registry.store().scan_shortly(scan).await?;
        for (row, error) in unreadable {
            self.drop_unreadable_pending(row, &error).await?;
        }
        let mut due = Vec::new();
        for (pending, row) in rows {
            match pending {
                Ok(pending) => due.push(PendingHandle::new(pending, row)),
                Err(error) => self.lose_pending(row, &error, now).await?,
            }
        }
        Ok(due)
    }

    /// Deletes a row that does not say whose it is, so that it is not read for ever.
    async fn drop_unreadable_pending(
        &self,
        row: i64,
        error: &StoreError,
    ) -> Result<(), StorageError> {
        tracing::error!(
            error = error as &dyn std::error::Error,
            "a pending registration cannot be read, nor whose it is; it is dropped"
        );
        let drop = unit(
            row,
            |_| vec![Lock::Directory],
            |_, _| Ok::<_, StorageError>(()),
            |row, tx, ()| tx.delete_unreadable_pending(*row),
        );
        self.registry.store().write_without_act(drop).await
    }

    /// Ends one that cannot be read, which would otherwise be in the way of all others for ever.
    async fn lose_pending(
        &self,
        row: PendingRow,
        error: &StoreError,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        tracing::error!(
            error = error as &dyn std::error::Error,
            registration.id = %row.registration_id,
            "registration {} was pending and cannot be read; it has failed",
            row.registration_id
        );
        let etag = self.registry.fresh_etag();
        let lose = unit(
            row,
            |row| {
                vec![Lock::Registration {
                    id_scope: row.id_scope.as_str(),
                    folded: row.registration_id.folded(),
                }]
            },
            |row, view| {
                let stored = view.registration(row.id_scope.as_str(), &row.registration_id)?;
                Ok::<_, StorageError>(stored.filter(is_assigning))
            },
            move |row, tx, stored: Option<RegistrationRow>| {
                let (id_scope, id) = (row.id_scope.as_str(), &row.registration_id);
                tx.delete_pending(id_scope, id)?;
                if stored.is_none() {
                    return Ok(());
                }
                let status = RegistrationStatus::Failed;
                let mut write = RecordWrite::new(stored, id, status, &etag, now);
                let message = "what was kept of this registration cannot be read; register again";
                write.row.error_code = Some(LOST.code());
                write.row.error_message = Some(message.to_owned());
                write.write(tx, id_scope)
            },
        );
        self.registry.store().write_without_act(lose).await
    }

    /// When the next pending registration is due after `now`.
    pub fn next_pending(&self, now: Timestamp) -> Result<Option<Timestamp>, StorageError> {
        let next = |view: &View<'_>| view.next_pending(now.ticks());
        let next = self.registry.store().read::<_, StoreError>(next)?;
        Ok(next.map(Timestamp::from_ticks))
    }
}

struct BeginPending {
    service: Arc<ProvisioningService>,
    etag: Etag,
    /// What the certificates may follow that its enrollment pins.
    pin: Option<Proven>,
    pending: PendingRegistration,
    now: Timestamp,
}

/// What is written of a registration that begins to wait.
#[expect(clippy::large_enum_variant, reason = "a plan is moved once")]
enum BeginPlan {
    /// The same one waits already.
    Waits(RegistrationRow),
    Begin {
        stored: Option<RegistrationRow>,
        /// The row to be replaced, and the attempt in it.
        waiting: Option<(PendingRow, PendingRegistration)>,
        /// A row that no record waits for.
        end: Option<EndPending>,
        /// What becomes of the certificates that its enrollment pins.
        pins: Option<PinPlan>,
    },
}

impl Unit for BeginPending {
    type Plan = BeginPlan;
    type Output = RegistrationRecord;
    type Error = AssignError;

    fn locks(&self) -> Vec<Lock<'_>> {
        let id_scope = self.service.id_scope.as_str();
        let registrant = &self.pending.registrant;
        let folded = registrant.registration_id.folded();
        let mut locks = vec![Lock::Registration { id_scope, folded }];
        let issued = registrant.issued.as_deref();
        locks.extend(
            issued
                .into_iter()
                .flat_map(|issued| issued_locks(id_scope, issued)),
        );
        locks
    }

    fn locks_of_plan<'a>(&'a self, plan: &'a BeginPlan) -> Vec<Lock<'a>> {
        match plan {
            BeginPlan::Waits(_) => Vec::new(),
            BeginPlan::Begin { end, pins, .. } => {
                let id_scope = self.service.id_scope.as_str();
                let pins = pins.iter().flat_map(|pins| pins.locks(id_scope));
                end.iter().flat_map(EndPending::locks).chain(pins).collect()
            }
        }
    }

    fn decide(&self, view: &View<'_>) -> Result<BeginPlan, AssignError> {
        let id_scope = self.service.id_scope.as_str();
        let registrant = &self.pending.registrant;
        require_enrollment(view, id_scope, registrant)?;
        require_issuer(view, id_scope, registrant)?;
        let id = &registrant.registration_id;
        let stored = view.registration(id_scope, id)?;
        let waiting = match &stored {
            Some(stored) if is_assigning(stored) => view.pending(id_scope, id)?,
            _ => None,
        };
        let waiting = waiting.map(|row| Ok::<_, StorageError>((read(view, &row)?, row)));
        let waiting = waiting.transpose()?.map(|(pending, row)| (row, pending));
        Ok(match (stored, waiting) {
            (Some(stored), Some((_, waiting))) if waiting.is_same_as(&self.pending) => {
                BeginPlan::Waits(stored)
            }
            (stored, waiting) => BeginPlan::Begin {
                end: match &waiting {
                    Some(_) => None,
                    None => EndPending::decide(view, id_scope, id, None)?,
                },
                stored,
                waiting,
                pins: match self.pinned() {
                    Some(device) => device.decide(view)?,
                    None => None,
                },
            },
        })
    }

    fn apply(&self, tx: &Tx<'_>, plan: BeginPlan) -> Result<RegistrationRecord, StoreError> {
        let (stored, waiting, end, pins) = match plan {
            BeginPlan::Waits(row) => return record(tx, row, &self.service),
            BeginPlan::Begin {
                stored,
                waiting,
                end,
                pins,
            } => (stored, waiting, end, pins),
        };
        let id_scope = &self.service.id_scope;
        if let Some(issued) = &self.pending.registrant.issued {
            enter_issued(tx, id_scope.as_str(), issued, self.now)?;
        }
        let mut pending = self.pending.clone();
        if let Some((pins, device)) = pins.zip(self.pinned()) {
            if let Some(etag) = pins.etag() {
                // It proved itself to the enrollment that this writes.
                pending.registrant.enrollment_etag = etag.clone();
                pending.registrant.by_secondary = false;
            }
            pins.apply(tx, &device)?;
        }
        match waiting {
            Some((row, before)) => {
                // What has been begun at remote hubs is resumed, or taken back.
                pending.plan = before.plan;
                let next = (row.id, row.revision + 1);
                tx.update_pending(&write(tx, id_scope, next, &pending)?)?;
            }
            None => {
                if let Some(end) = end {
                    end.apply(tx, self.now)?;
                }
                tx.insert_pending(&write(tx, id_scope, (0, 0), &pending)?)?;
            }
        }
        let write = self.assigning(stored);
        write.write(tx, id_scope.as_str())?;
        record(tx, write.row, &self.service)
    }
}

impl BeginPending {
    fn pinned(&self) -> Option<PinnedDevice<'_>> {
        Some(PinnedDevice {
            id_scope: self.service.id_scope.as_str(),
            registration_id: &self.pending.registrant.registration_id,
            proven: self.pin.as_ref()?,
            etag: &self.etag,
            now: self.now,
        })
    }

    /// The record, which waits.
    fn assigning(&self, stored: Option<RegistrationRow>) -> RecordWrite {
        let registrant = &self.pending.registrant;
        let (id, status) = (&registrant.registration_id, RegistrationStatus::Assigning);
        let mut write = RecordWrite::new(stored, id, status, &self.etag, self.now);
        let row = &mut write.row;
        row.group = group(&registrant.enrollment).cloned();
        row.substatus = None;
        (row.error_code, row.error_message) = (None, None);
        // By it the same device is recognised when it polls.
        row.detail = registrant.detail.as_ref().map(Detail::to_stored);
        write
    }
}

fn is_assigning(row: &RegistrationRow) -> bool {
    row.status == RegistrationStatus::Assigning
}

pub(super) fn read(view: &View<'_>, row: &PendingRow) -> Result<PendingRegistration, StoreError> {
    let pending = serde_json::from_str(row.document.reveal());
    view.decoded("pending registration", pending)
}

fn write(
    view: &View<'_>,
    id_scope: &IdScope,
    (id, revision): (i64, i64),
    pending: &PendingRegistration,
) -> Result<PendingRow, StoreError> {
    let document = view.decoded("pending registration", serde_json::to_string(pending))?;
    Ok(PendingRow {
        id,
        id_scope: id_scope.clone(),
        registration_id: pending.registrant.registration_id.clone(),
        revision,
        destination: pending.step.destination(),
        due: pending.due.ticks(),
        document: Secret::new(document),
    })
}

#[cfg(test)]
mod tests;
