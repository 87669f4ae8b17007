//! Registrations whose device comes from, goes to or is in a remote hub: where it is, what is planned, and the one transaction in
//! which it is assigned.

use ids::{Etag, Timestamp};
use registry::{
    DeviceLocation, InitialTwin, NewDevice, Rows, StorageError, find_device, twin_etag,
};
use serde_json::{Map, Value};
use store::{RemoteTaskKind, Tx, View};
use wire::service_api::identity::Status;

use super::assign::{AssignJob, Found};
use super::pending::{PendingHandle, clean_up};
use super::places::{is_remote, link, places, require_entry, require_owner};
use super::{fail, told};
use crate::pending::Placement;
use crate::placement::{LocatedDevice, PlacementSources, Plan, PlanStep};
use crate::provisioning::Provisioning;
use crate::register::DeviceStep;
use crate::registration::{
    Assign, AssignError, Choice, RegistrationFailure, RegistrationRecord, ReprovisionPolicy,
};
use crate::service::ProvisioningService;

/// What a device brings along from the hub of before.
#[derive(Debug, Clone, PartialEq)]
pub struct MovedData {
    /// Whether it may connect.
    pub status: Status,
    /// Why, as an operator wrote.
    pub status_reason: Option<String>,
    /// `capabilities.iotEdge`.
    pub iot_edge: bool,
    /// What is the service's of its twin.
    pub twin: InitialTwin,
    /// Reported properties.
    pub reported: Map<String, Value>,
    /// The twin's version where it was read, when that was in this directory: should it have changed since, it is read again.
    pub read_at: Option<Etag>,
}

/// A device for which all is done at remote hubs.
#[derive(Debug, Clone, PartialEq)]
pub struct CompletedPlacement {
    /// What allocation decided.
    pub placing: Placement,
    /// What was done.
    pub plan: Plan,
    /// What it brings along into this directory.
    pub moved: Option<MovedData>,
}

/// What became of a registration that was to be settled.
#[derive(Debug, Clone, PartialEq)]
pub enum PlacementOutcome {
    /// It is over.
    Over(Box<RegistrationRecord>),
    /// The device of before has changed since it was read: it has to be read again.
    Stale,
    /// It was no longer the one of the ticket; nothing was written.
    Gone,
}

impl Provisioning {
    /// Where the device of a registration under way is and shall be.
    ///
    /// # Errors
    /// When its hub is not linked, the device is another registration's, or the storage fails.
    pub async fn placement_sources(
        &self,
        handle: &PendingHandle,
        choice: &Choice,
    ) -> Result<PlacementSources, AssignError> {
        let (service, handle) = (self.service(), handle.clone());
        let assign = handle.assign(choice);
        let find = move |view: &View<'_>| {
            let registrant = &assign.registrant;
            require_entry(view, service.id_scope.as_str(), registrant)?;
            let stored = view.registration(service.id_scope.as_str(), &handle.folded)?;
            let rows = Rows { file: view.file() };
            let (previous, wanted) = places(rows, &service, &assign, stored.as_ref())?;
            require_owner(view, &service, &assign, &wanted)?;
            let previous = previous
                .map(|place| located(view, &service, &place))
                .transpose();
            let mut previous = previous?.flatten();
            let unknown = || AssignError::UnknownHub(assign.choice.hub.clone());
            let wanted = located(view, &service, &wanted)?.ok_or_else(unknown)?;
            if let Some(left) = previous.as_mut().filter(|left| **left != wanted)
                && registrant.policy == ReprovisionPolicy::ResetData
            {
                // Nothing is taken from it, so that its hub need not answer. It is removed there should it exist.
                left.exists = left.exists.or(Some(true));
            }
            Ok(PlacementSources {
                previous,
                wanted,
                policy: registrant.policy,
                told: stored.as_ref().and_then(told),
                plan: handle.pending.plan.clone(),
            })
        };
        self.registry.store().scan_shortly(find).await
    }

    /// Writes down what will be done, before it is. `None` when the registration is no longer the one of the ticket.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn keep_plan(
        &self,
        handle: PendingHandle,
        plan: Plan,
        now: Timestamp,
    ) -> Result<Option<PendingHandle>, StorageError> {
        let keep = move |tx: &Tx<'_>| {
            if !handle.stands(tx, now)? {
                return Ok(None);
            }
            let mut pending = handle.pending.clone();
            let before = pending.plan.replace(plan.clone());
            let place = &plan.decision.place;
            clean_up(tx, before.as_ref(), Some(place), now)?;
            // Before anything is done there: what is made from now on is not what was to be removed.
            tx.cancel_removal(place.hub.as_str(), place.device_id.as_str())?;
            Ok::<_, StorageError>(Some(handle.rewrite(tx, &pending)?))
        };
        self.registry.store().of_itself(keep).await
    }

    /// Ends a registration after all was done at remote hubs that its plan wants there. In one transaction: what the plan wants in
    /// this directory, the record, and that the device of before is removed.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn finish_placement(
        &self,
        handle: PendingHandle,
        placed: CompletedPlacement,
        as_failure: fn(&AssignError) -> RegistrationFailure,
        now: Timestamp,
    ) -> Result<PlacementOutcome, StorageError> {
        let CompletedPlacement {
            placing,
            plan,
            moved,
        } = placed;
        let mut job = self.assign_job(handle.assign(&placing.choice), now);
        let (current, served) = (self.service.clone(), self.inner.services.clone());
        let etag = self.registry.fresh_etag();
        let told = placing.told();
        let settle = move |tx: &Tx<'_>| {
            if !handle.stands(tx, now)? {
                return Ok(PlacementOutcome::Gone);
            }
            if let (Some(moved), Some(previous)) = (&moved, &plan.previous)
                && moved.is_stale(tx, previous)?
            {
                return Ok(PlacementOutcome::Stale);
            }
            let service = served.service_in(tx, &current)?;
            job.service = service.clone();
            let (record, note) = match job.run_placement(tx, &plan, moved.as_ref()) {
                Ok(record) => (record, told),
                Err(AssignError::Storage(error)) => return Err(error),
                Err(error) => {
                    let failure = as_failure(&error);
                    let mut note = told.unwrap_or_default();
                    note.failure = Some(failure.message.clone());
                    let failed = fail(tx, &service, handle.failed(failure), &etag, now)?;
                    (failed, Some(note))
                }
            };
            if let Some(note) = note {
                handle.write_note(tx, &note, now)?;
            }
            Ok(PlacementOutcome::Over(Box::new(record)))
        };
        self.registry.store().of_itself(settle).await
    }
}

impl PendingHandle {
    fn assign(&self, choice: &Choice) -> Assign {
        Assign {
            registrant: self.pending.registrant.clone(),
            choice: choice.clone(),
        }
    }
}

fn located(
    view: &View<'_>,
    service: &ProvisioningService,
    place: &DeviceLocation,
) -> Result<Option<LocatedDevice>, StorageError> {
    let Some(hub) = link(service, place) else {
        return Ok(None);
    };
    let exists = match is_remote(service, place) {
        // One that is about to be removed is as good as gone.
        true => {
            let remote_task = view.remote_task(place.hub.as_str(), place.device_id.as_str())?;
            remote_task
                .is_some_and(|remote_task| remote_task.kind == RemoteTaskKind::Remove)
                .then_some(false)
        }
        false => Some(find_device(view, place)?.is_some()),
    };
    Ok(Some(LocatedDevice {
        hub: hub.clone(),
        device_id: place.device_id.clone(),
        exists,
    }))
}

impl MovedData {
    fn is_stale(&self, tx: &Tx<'_>, previous: &DeviceLocation) -> Result<bool, StorageError> {
        let Some(read_at) = &self.read_at else {
            return Ok(false);
        };
        Ok(twin_etag(tx, previous)?.is_none_or(|now| now != *read_at))
    }
}

impl AssignJob {
    /// What is left to do when all is done elsewhere. Checks come before the first write.
    fn run_placement(
        self,
        tx: &Tx<'_>,
        plan: &Plan,
        moved: Option<&MovedData>,
    ) -> Result<RegistrationRecord, AssignError> {
        let id_scope = self.service.id_scope.as_str();
        require_entry(tx, id_scope, &self.assign.registrant)?;
        let folded = self.assign.registrant.registration_id.folded();
        let stored = tx.registration(id_scope, folded)?;
        let rows = Rows { file: tx.file() };
        let (previous, wanted) = places(rows, &self.service, &self.assign, stored.as_ref())?;
        let decision = plan.decision.clone();
        if previous != plan.previous || wanted != decision.place {
            // Its record, or the link of its hub, went away meanwhile.
            return Err(AssignError::EnrollmentChanged);
        }
        if link(&self.service, &wanted).is_none() {
            return Err(AssignError::UnknownHub(self.assign.choice.hub));
        }
        require_owner(tx, &self.service, &self.assign, &wanted)?;
        tx.may_turn_back()?;
        match is_remote(&self.service, &wanted) {
            true => tx.cancel_removal(wanted.hub.as_str(), wanted.device_id.as_str())?,
            false => self.take_in(tx, plan, moved)?,
        }
        if let Some(old) = previous.filter(|old| *old != wanted) {
            self.give_away(tx, &old)?;
        }
        let found = Found::of(stored.as_ref(), plan.previous.as_ref(), &decision);
        self.enter(tx, &found, &decision)?;
        self.write_record(tx, stored, decision)
    }

    /// The device in this directory.
    fn take_in(
        &self,
        tx: &Tx<'_>,
        plan: &Plan,
        moved: Option<&MovedData>,
    ) -> Result<(), AssignError> {
        let mut decision = plan.decision.clone();
        let exists = find_device(tx, &decision.place)?.is_some();
        match (plan.step(), moved) {
            (PlanStep::Bring, Some(moved)) if !exists => {
                return self.bring(tx, &decision.place, moved);
            }
            // Somebody made it, or deleted it, in the meantime.
            (PlanStep::Bring | PlanStep::Create, _) if exists => {
                decision.step = DeviceStep::Refresh;
            }
            _ if !exists => decision.step = DeviceStep::Create,
            _ => {}
        }
        self.step(tx, &decision).map(drop)
    }

    /// A device with what it had in a remote hub. A twin that a webhook answered with goes before the one that it had.
    fn bring(
        &self,
        tx: &Tx<'_>,
        place: &DeviceLocation,
        moved: &MovedData,
    ) -> Result<(), AssignError> {
        let authentication = self.assign.registrant.proof.authentication();
        let device = NewDevice {
            authentication: &authentication,
            status: moved.status,
            status_reason: moved.status_reason.as_deref(),
            iot_edge: moved.iot_edge,
            twin: self.assign.choice.twin.as_ref().unwrap_or(&moved.twin),
        };
        let row = self.devices.create(tx, place, device)?;
        self.devices.write_reported(tx, place, &moved.reported)?;
        Ok(self.devices.queue_for_deployments(tx, &row)?)
    }

    /// The device of before: deleted in this directory, or in a remote hub as soon as that answers.
    fn give_away(&self, tx: &Tx<'_>, old: &DeviceLocation) -> Result<(), AssignError> {
        if is_remote(&self.service, old) {
            let device = (old.hub.as_str(), old.device_id.as_str());
            tx.put_remote_task(device, RemoteTaskKind::Remove, self.now.ticks())?;
            return Ok(());
        }
        if find_device(tx, old)?.is_some() {
            self.devices.delete(tx, old)?;
        }
        Ok(())
    }
}
