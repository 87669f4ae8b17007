//! Registrations whose device comes from, goes to or is in a remote hub: where it is, what is planned, and the one transaction in
//! which it is assigned.

use ids::{DeviceId, Etag, Timestamp};
use serde_json::{Map, Value};
use store::{IdentityRow, TwinRow, Tx, View};
use wire::service_api::identity::Status;

use super::assign::{AssignJob, Found};
use super::pending::{PendingHandle, clean_up};
use super::places::{find, is_remote, link, places, require_entry, require_owner};
use super::{fail, told};
use crate::change::Change;
use crate::entropy::random;
use crate::error::StorageError;
use crate::etag;
use crate::pending::Placement;
use crate::placement::{LocatedDevice, PlacementSources, Plan, PlanStep};
use crate::register::{DeviceStep, Place};
use crate::registration::{
    Assign, AssignError, Choice, RegistrationFailure, RegistrationRecord, ReprovisionPolicy,
};
use crate::registry::Registry;
use crate::registry::new_identity::{NewIdentity, insert_system_modules};
use crate::registry::rows::{Rows, key, set_authentication};
use crate::registry::twins::write_twin;
use crate::service::ProvisioningService;
use crate::twin::{CheckedReport, InitialTwin};

/// What a device brings along from the hub of before.
#[derive(Debug, Clone, PartialEq)]
pub struct Carried {
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
    pub carried: Option<Carried>,
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

impl Registry {
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
            let (previous, wanted) = places(&service, &assign, stored.as_ref());
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
        self.inner.store.scan_shortly(find).await
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
            tx.cancel_removal(&place.hub, &place.device_id)?;
            Ok::<_, StorageError>(Some(handle.rewrite(tx, &pending)?))
        };
        self.inner.store.of_itself(keep).await
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
            carried,
        } = placed;
        let mut job = self.assign_job(handle.assign(&placing.choice), now);
        let (current, served) = (self.service.clone(), self.inner.served.clone());
        let etag = etag::random(random(&*self.inner.entropy));
        let told = placing.told();
        let settle = move |tx: &Tx<'_>| {
            if !handle.stands(tx, now)? {
                return Ok(PlacementOutcome::Gone);
            }
            if let (Some(carried), Some(previous)) = (&carried, &plan.previous)
                && carried.is_stale(tx, previous)?
            {
                return Ok(PlacementOutcome::Stale);
            }
            let service = served.service_in(tx, &current)?;
            job.service = service.clone();
            let (record, note) = match job.run_placement(tx, &plan, carried.as_ref()) {
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
        self.inner.store.of_itself(settle).await
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
    place: &Place,
) -> Result<Option<LocatedDevice>, StorageError> {
    let Some(hub) = link(service, place) else {
        return Ok(None);
    };
    let exists = match is_remote(service, place) {
        // One that is about to be removed is as good as gone.
        true => {
            let remote_task = view.remote_task(&place.hub, &place.device_id)?;
            remote_task
                .is_some_and(|remote_task| remote_task.kind == "remove")
                .then_some(false)
        }
        false => Some(find(view, place)?.is_some()),
    };
    let rows = Rows { file: view.file() };
    Ok(Some(LocatedDevice {
        hub: hub.clone(),
        device_id: rows.id("device id", DeviceId::parse(&place.device_id))?,
        exists,
    }))
}

impl Carried {
    fn is_stale(&self, tx: &Tx<'_>, previous: &Place) -> Result<bool, StorageError> {
        let Some(read_at) = &self.read_at else {
            return Ok(false);
        };
        let rows = Rows { file: tx.file() };
        let identity = ids::Identity::device(
            rows.id("hub", previous.hub.parse())?,
            rows.id("device id", previous.device_id.parse())?,
        );
        let now = tx.twin(key(&identity))?;
        Ok(match now {
            Some((_, twin)) => rows.twin(&twin)?.etag != *read_at,
            None => true,
        })
    }
}

impl AssignJob {
    /// What is left to do when all is done elsewhere. Checks come before the first write.
    fn run_placement(
        self,
        tx: &Tx<'_>,
        plan: &Plan,
        carried: Option<&Carried>,
    ) -> Result<RegistrationRecord, AssignError> {
        let id_scope = self.service.id_scope.as_str();
        require_entry(tx, id_scope, &self.assign.registrant)?;
        let folded = self.assign.registrant.registration_id.folded();
        let stored = tx.registration(id_scope, folded)?;
        let (previous, wanted) = places(&self.service, &self.assign, stored.as_ref());
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
            true => tx.cancel_removal(&wanted.hub, &wanted.device_id)?,
            false => self.take_in(tx, plan, carried)?,
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
        carried: Option<&Carried>,
    ) -> Result<(), AssignError> {
        let mut decision = plan.decision.clone();
        let exists = find(tx, &decision.place)?.is_some();
        match (plan.step(), carried) {
            (PlanStep::Bring, Some(carried)) if !exists => {
                return self.bring(tx, &decision.place, carried);
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
    fn bring(&self, tx: &Tx<'_>, place: &Place, carried: &Carried) -> Result<(), AssignError> {
        let new = NewIdentity {
            hub: &place.hub,
            device_id: &place.device_id,
            module_id: "",
            now: self.now,
        };
        let mut row = new.row(&self.seeds, 0);
        row.enabled = carried.status == Status::Enabled;
        row.status_reason.clone_from(&carried.status_reason);
        row.iot_edge = carried.iot_edge;
        row.device_scope = row.iot_edge.then(|| new.scope(&self.seeds));
        set_authentication(&mut row, &self.assign.registrant.proof.authentication());
        let twin = self.assign.choice.twin.as_ref().unwrap_or(&carried.twin);
        let documents = TwinRow {
            tags: twin.tags.clone(),
            desired: twin.desired.clone(),
            ..new.twin()
        };
        tx.insert_identity(&row, &documents)?;
        self.report(tx, place, carried)?;
        self.follow(tx, &row)
    }

    fn report(&self, tx: &Tx<'_>, place: &Place, carried: &Carried) -> Result<(), AssignError> {
        let identity = self.identity(tx, place)?;
        let Some((row, twin)) = tx.twin(key(&identity))? else {
            return Ok(());
        };
        let mut twin = Rows { file: tx.file() }.twin(&twin)?;
        // Should it be more than a hub of this server keeps, it is left behind: the device reports what it is like when it connects.
        let report = CheckedReport::new(&carried.reported);
        if let Ok(touched) = report.and_then(|report| twin.report(&report, self.now)) {
            write_twin(tx, &self.watchers, &identity, row.id, &twin, touched)?;
        }
        Ok(())
    }

    fn follow(&self, tx: &Tx<'_>, row: &IdentityRow) -> Result<(), AssignError> {
        if row.iot_edge {
            insert_system_modules(tx, row, &self.seeds, self.now)?;
        }
        if row.iot_edge && tx.targeting_follows(&row.hub, false)? {
            tx.queue_device(&row.hub, &row.device_id)?;
            let hub = Rows { file: tx.file() }.id("hub", row.hub.parse())?;
            self.watchers.tell(tx, Change::Targeting { hub });
        }
        Ok(())
    }

    /// The device of before: deleted in this directory, or in a remote hub as soon as that answers.
    fn give_away(&self, tx: &Tx<'_>, old: &Place) -> Result<(), AssignError> {
        if is_remote(&self.service, old) {
            tx.put_remote_task((&old.hub, &old.device_id), "remove", self.now.ticks())?;
            return Ok(());
        }
        if find(tx, old)?.is_some() {
            tx.delete_device(&old.hub, &old.device_id)?;
            let identity = self.identity(tx, old)?;
            self.watchers.tell(tx, Change::Gone { identity });
        }
        Ok(())
    }
}
