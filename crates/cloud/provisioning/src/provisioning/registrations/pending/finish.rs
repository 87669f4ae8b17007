//! Pending registrations that end, or are put off.

use ids::{Etag, Timestamp};
use registry::StorageError;
use store::{Lock, StoreError, Tx, View};

use super::super::assign::{AssignJob, AssignPlan, ServiceReader};
use super::super::failure::FailPlan;
use super::super::notes::write_note;
use super::{HandleStep, OnHandle, PendingHandle};
use crate::pending::{AllocationNote, PendingRegistration};
use crate::provisioning::Provisioning;
use crate::registration::{
    AssignError, Choice, FailRegistration, RegistrationFailure, RegistrationRecord,
};

impl Provisioning {
    /// Ends a pending registration with the hub that was chosen; one that cannot be assigned so
    /// ends as `failed`, which `as_failure` words. `None` when the handle is no longer current, or
    /// when a remote hub has to be asked next.
    pub async fn finish_pending(
        &self,
        handle: PendingHandle,
        choice: Choice,
        note: AllocationNote,
        as_failure: fn(&AssignError) -> RegistrationFailure,
        now: Timestamp,
    ) -> Result<Option<RegistrationRecord>, StorageError> {
        let step = Finish {
            service: self.service_reader(),
            job: self.assign_job(handle.assign(&choice), now),
            choice,
            note,
            etag: self.registry.fresh_etag(),
            as_failure,
        };
        let finish = OnHandle { handle, step, now };
        let finished = self.registry.store().write_without_act(finish).await?;
        Ok(finished.flatten())
    }

    /// Ends a pending registration as failed. `None` when the handle is no longer current.
    pub async fn give_up_pending(
        &self,
        handle: PendingHandle,
        failure: RegistrationFailure,
        note: AllocationNote,
        now: Timestamp,
    ) -> Result<Option<RegistrationRecord>, StorageError> {
        let step = GiveUp {
            service: self.service_reader(),
            failed: handle.failed(failure),
            note,
            etag: self.registry.fresh_etag(),
            now,
        };
        let give_up = OnHandle { handle, step, now };
        self.registry.store().write_without_act(give_up).await
    }

    /// Puts off a pending registration. Does nothing when the handle is no longer current.
    pub async fn postpone_pending(
        &self,
        handle: PendingHandle,
        pending: PendingRegistration,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let step = Postpone(pending);
        let postpone = OnHandle { handle, step, now };
        self.registry.store().write_without_act(postpone).await?;
        Ok(())
    }
}

struct Finish {
    service: ServiceReader,
    job: AssignJob,
    choice: Choice,
    note: AllocationNote,
    etag: Etag,
    as_failure: fn(&AssignError) -> RegistrationFailure,
}

#[expect(clippy::large_enum_variant, reason = "a plan is moved once")]
enum FinishPlan {
    Assign(AssignPlan),
    AskRemoteHub,
    Fail(FailPlan, FailRegistration),
}

impl HandleStep for Finish {
    type Plan = FinishPlan;
    type Output = Option<RegistrationRecord>;

    fn locks_of_plan<'a>(&'a self, plan: &'a FinishPlan) -> Vec<Lock<'a>> {
        match plan {
            FinishPlan::Assign(plan) => plan.locks(),
            FinishPlan::Fail(plan, _) => plan.locks(),
            FinishPlan::AskRemoteHub => Vec::new(),
        }
    }

    fn decide(&self, handle: &PendingHandle, view: &View<'_>) -> Result<FinishPlan, StorageError> {
        let service = self.service.read(view)?;
        let decided = self.job.decide(view, service).and_then(|plan| {
            if let Some(plan) = &plan {
                plan.require_owner_of_created(view, &self.job.assign)?;
            }
            Ok(plan)
        });
        Ok(match decided {
            Ok(Some(plan)) => FinishPlan::Assign(plan),
            Ok(None) => FinishPlan::AskRemoteHub,
            Err(AssignError::Storage(error)) => return Err(error),
            Err(error) => {
                let failed = handle.failed((self.as_failure)(&error));
                let plan = FailPlan::decide(view, handle.id_scope.as_str(), &failed)?;
                FinishPlan::Fail(plan, failed)
            }
        })
    }

    fn apply(
        &self,
        handle: &PendingHandle,
        tx: &Tx<'_>,
        plan: FinishPlan,
    ) -> Result<Option<RegistrationRecord>, StoreError> {
        let now = self.job.now;
        let mut note = self.note.clone();
        let record = match plan {
            FinishPlan::AskRemoteHub => {
                let pending = handle.pending.clone();
                let next = pending.placed_next(self.choice.clone(), note, now);
                handle.rewrite(tx, &next)?;
                return Ok(None);
            }
            FinishPlan::Assign(plan) => self.job.apply(tx, plan)?.registration,
            FinishPlan::Fail(plan, failed) => {
                note.failure = Some(failed.failure.message.clone());
                let service = self.service.read(tx)?;
                plan.apply(tx, &service, &failed, &self.etag, now)?
            }
        };
        let registrant = &handle.pending.registrant;
        write_note(tx, handle.id_scope.as_str(), registrant, &note, now)?;
        Ok(Some(record))
    }
}

struct GiveUp {
    service: ServiceReader,
    failed: FailRegistration,
    note: AllocationNote,
    etag: Etag,
    now: Timestamp,
}

impl HandleStep for GiveUp {
    type Plan = FailPlan;
    type Output = RegistrationRecord;

    fn locks_of_plan<'a>(&'a self, plan: &'a FailPlan) -> Vec<Lock<'a>> {
        plan.locks()
    }

    fn decide(&self, handle: &PendingHandle, view: &View<'_>) -> Result<FailPlan, StorageError> {
        FailPlan::decide(view, handle.id_scope.as_str(), &self.failed)
    }

    fn apply(
        &self,
        handle: &PendingHandle,
        tx: &Tx<'_>,
        plan: FailPlan,
    ) -> Result<RegistrationRecord, StoreError> {
        let service = self.service.read(tx)?;
        let record = plan.apply(tx, &service, &self.failed, &self.etag, self.now)?;
        let registrant = &handle.pending.registrant;
        write_note(
            tx,
            handle.id_scope.as_str(),
            registrant,
            &self.note,
            self.now,
        )?;
        Ok(record)
    }
}

/// The registration as it will wait.
struct Postpone(PendingRegistration);

impl HandleStep for Postpone {
    type Plan = ();
    type Output = ();

    fn decide(&self, _: &PendingHandle, _: &View<'_>) -> Result<(), StorageError> {
        Ok(())
    }

    fn apply(&self, handle: &PendingHandle, tx: &Tx<'_>, (): ()) -> Result<(), StoreError> {
        handle.rewrite(tx, &self.0)?;
        Ok(())
    }
}
