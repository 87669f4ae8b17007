//! What is left to do when a plan is carried out at remote hubs.

use std::sync::Arc;

use ids::Etag;
use registry::{NewDevice, StorageError, find_device};
use store::{DeviceLocation, Lock, RegistrationRow, StoreError, Tx, View};

use super::super::EndPending;
use super::super::assign::{AssignJob, Found, ServiceReader};
use super::super::end_pending::{device_lock, put_removal};
use super::super::failure::FailPlan;
use super::super::locations::{is_remote, link, locations, require_enrollment, require_owner};
use super::super::notes::write_note;
use super::super::pending::{HandleStep, PendingHandle};
use super::{CompletedPlacement, MovedData, PlacementOutcome};
use crate::placement::PlanStep;
use crate::register::{Decision, DeviceStep};
use crate::registration::{AssignError, FailRegistration, RegistrationFailure, RegistrationRecord};
use crate::service::ProvisioningService;

pub(super) struct FinishPlacement {
    pub(super) service: ServiceReader,
    pub(super) job: AssignJob,
    pub(super) etag: Etag,
    pub(super) completed: CompletedPlacement,
    pub(super) as_failure: fn(&AssignError) -> RegistrationFailure,
}

pub(super) enum FinishPlan {
    Stale,
    Assign(PlacementPlan),
    Fail(FailPlan, FailRegistration),
}

/// What is written in this directory.
pub(super) struct PlacementPlan {
    service: Arc<ProvisioningService>,
    stored: Option<RegistrationRow>,
    step: LocalStep,
    leave: Leave,
    end: Option<EndPending>,
}

/// What is done at the device's location.
enum LocalStep {
    /// It is in a remote hub.
    CancelRemoval,
    /// Created with what it takes along.
    Bring,
    /// As when the hub is chosen among those that live here.
    Write(Decision),
}

/// What becomes of the device that is left.
enum Leave {
    Nothing,
    DeleteHere(DeviceLocation),
    RemoveRemotely(DeviceLocation),
}

impl FinishPlacement {
    /// Refusals come before the first write.
    fn plan(&self, view: &View<'_>) -> Result<PlacementPlan, AssignError> {
        let service = self.service.read(view)?;
        let (id_scope, assign) = (service.id_scope.as_str(), &self.job.assign);
        require_enrollment(view, id_scope, &assign.registrant)?;
        let stored = view.registration(id_scope, &assign.registrant.registration_id)?;
        let (previous, wanted) = locations(view, &service, assign, stored.as_ref())?;
        let plan = &self.completed.plan;
        if previous != plan.previous || wanted != plan.decision.place {
            // Its record, or the link of its hub, went away meanwhile.
            return Err(AssignError::EnrollmentChanged);
        }
        if link(&service, &wanted).is_none() {
            return Err(AssignError::UnknownHub(assign.choice.hub.clone()));
        }
        require_owner(view, &service, assign, &wanted)?;
        let step = match is_remote(&service, &wanted) {
            true => LocalStep::CancelRemoval,
            false => self.local_step(view)?,
        };
        let leave = match previous.filter(|old| *old != wanted) {
            None => Leave::Nothing,
            Some(old) if is_remote(&service, &old) => Leave::RemoveRemotely(old),
            Some(old) => match find_device(view, &old)? {
                Some(_) => Leave::DeleteHere(old),
                None => Leave::Nothing,
            },
        };
        let end = match &stored {
            None => None,
            Some(row) => EndPending::decide(view, id_scope, &row.registration_id, Some(&wanted))?,
        };
        Ok(PlacementPlan {
            service,
            stored,
            step,
            leave,
            end,
        })
    }

    /// The device in this directory.
    fn local_step(&self, view: &View<'_>) -> Result<LocalStep, StorageError> {
        let CompletedPlacement { plan, moved, .. } = &self.completed;
        let mut decision = plan.decision.clone();
        let exists = find_device(view, &decision.place)?.is_some();
        match (plan.step(), moved) {
            (PlanStep::Bring, Some(_)) if !exists => return Ok(LocalStep::Bring),
            // Another request created it, or deleted it, in the meantime.
            (PlanStep::Bring | PlanStep::Create, _) if exists => {
                decision.step = DeviceStep::Refresh;
            }
            _ if !exists => decision.step = DeviceStep::Create,
            _ => {}
        }
        Ok(LocalStep::Write(decision))
    }

    fn write(&self, tx: &Tx<'_>, plan: PlacementPlan) -> Result<RegistrationRecord, StoreError> {
        let (job, decision) = (&self.job, &self.completed.plan.decision);
        let place = &decision.place;
        match (plan.step, &self.completed.moved) {
            (LocalStep::CancelRemoval, _) => {
                tx.cancel_removal(place)?;
            }
            (LocalStep::Bring, Some(moved)) => self.bring(tx, place, moved)?,
            (LocalStep::Bring, None) => {}
            (LocalStep::Write(decision), _) => drop(job.step(tx, &decision)?),
        }
        match &plan.leave {
            Leave::Nothing => {}
            Leave::DeleteHere(old) => job.devices.delete(tx, old)?,
            Leave::RemoveRemotely(old) => put_removal(tx, old, job.now)?,
        }
        let previous = self.completed.plan.previous.as_ref();
        let found = Found::new(plan.stored.as_ref(), previous, decision);
        let id_scope = plan.service.id_scope.as_str();
        job.enter(tx, id_scope, &found, decision)?;
        job.write_record(tx, &plan.service, plan.stored, plan.end, decision.clone())
    }

    /// A device with what it had in a remote hub. A twin that a webhook answered with goes before
    /// the one that it had.
    fn bring(
        &self,
        tx: &Tx<'_>,
        place: &DeviceLocation,
        moved: &MovedData,
    ) -> Result<(), StoreError> {
        let job = &self.job;
        let authentication = job.assign.registrant.proof.authentication();
        let device = NewDevice {
            authentication: &authentication,
            status: moved.status,
            status_reason: moved.status_reason.as_deref(),
            iot_edge: moved.iot_edge,
            twin: job.assign.choice.twin.as_ref().unwrap_or(&moved.twin),
        };
        let row = job.devices.create(tx, place, device)?;
        job.devices.write_reported(tx, place, &moved.reported)?;
        job.devices.queue_for_configurations(tx, &row)
    }
}

impl HandleStep for FinishPlacement {
    type Plan = FinishPlan;
    type Output = PlacementOutcome;

    fn locks_of_plan<'a>(&'a self, plan: &'a FinishPlan) -> Vec<Lock<'a>> {
        match plan {
            FinishPlan::Stale => Vec::new(),
            FinishPlan::Fail(plan, _) => plan.locks(),
            FinishPlan::Assign(plan) => {
                let of_plan = &self.completed.plan;
                let devices = of_plan.previous.iter().chain([&of_plan.decision.place]);
                let end = plan.end.iter().flat_map(EndPending::locks);
                devices.map(device_lock).chain(end).collect()
            }
        }
    }

    fn decide(&self, handle: &PendingHandle, view: &View<'_>) -> Result<FinishPlan, StorageError> {
        let CompletedPlacement { plan, moved, .. } = &self.completed;
        if let (Some(moved), Some(previous)) = (moved, &plan.previous)
            && moved.is_stale(view, previous)?
        {
            return Ok(FinishPlan::Stale);
        }
        Ok(match self.plan(view) {
            Ok(plan) => FinishPlan::Assign(plan),
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
    ) -> Result<PlacementOutcome, StoreError> {
        let note = self.completed.placement.note_for_operator();
        let (record, note) = match plan {
            FinishPlan::Stale => return Ok(PlacementOutcome::Stale),
            FinishPlan::Assign(plan) => (self.write(tx, plan)?, note),
            FinishPlan::Fail(plan, failed) => {
                let mut note = note.unwrap_or_default();
                note.failure = Some(failed.failure.message.clone());
                let service = self.service.read(tx)?;
                let record = plan.apply(tx, &service, &failed, &self.etag, self.job.now)?;
                (record, Some(note))
            }
        };
        if let Some(note) = note {
            let registrant = &handle.pending.registrant;
            write_note(
                tx,
                handle.id_scope.as_str(),
                registrant,
                &note,
                self.job.now,
            )?;
        }
        Ok(PlacementOutcome::Over(Box::new(record)))
    }
}
