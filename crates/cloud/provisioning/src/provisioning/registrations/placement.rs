//! Registrations whose device comes from, goes to or is in a remote hub: where it is, what is
//! planned, and the one transaction in which it is assigned.

use ids::{Etag, Timestamp};
use registry::{InitialTwin, StorageError, find_device, twin_etag};
use serde_json::{Map, Value};
use store::{DeviceLocation, Lock, RemoteTaskKind, StoreError, Tx, View};
use wire::service_api::identity::Status;

use super::end_pending::{created_in_vain, device_lock, put_removal};
use super::locations::{is_remote, link, locations, require_enrollment, require_owner};
use super::pending::{HandleStep, OnHandle, PendingHandle};
use crate::pending::Placement;
use crate::placement::{LocatedDevice, PlacementSources, Plan};
use crate::provisioning::Provisioning;
use crate::registration::{
    AssignError, Choice, RegistrationFailure, RegistrationRecord, ReprovisionPolicy,
};
use crate::service::ProvisioningService;

mod finish;

use finish::FinishPlacement;

/// What a device takes along from the hub that it leaves.
#[derive(Debug, Clone, PartialEq)]
pub struct MovedData {
    /// Whether it may connect.
    pub status: Status,
    /// Why, as an operator wrote.
    pub status_reason: Option<String>,
    pub iot_edge: bool,
    /// What is the service's of its twin.
    pub twin: InitialTwin,
    pub reported: Map<String, Value>,
    /// The twin's version where it was read, when that was in this directory: should it have
    /// changed since, it is read again.
    pub read_at: Option<Etag>,
}

/// A device for which all is done at remote hubs.
#[derive(Debug, Clone, PartialEq)]
pub struct CompletedPlacement {
    pub placement: Placement,
    pub plan: Plan,
    /// What it takes along into this directory.
    pub moved: Option<MovedData>,
}

/// What became of a pending registration whose placement is completed.
#[derive(Debug, Clone, PartialEq)]
pub enum PlacementOutcome {
    /// The registration has ended.
    Over(Box<RegistrationRecord>),
    /// The device has changed since it was read: it has to be read again.
    Stale,
    /// The handle was no longer current; nothing was written.
    Gone,
}

impl Provisioning {
    /// Where the device of a pending registration is and shall be.
    pub async fn placement_sources(
        &self,
        handle: &PendingHandle,
        choice: &Choice,
    ) -> Result<PlacementSources, AssignError> {
        let (service, handle) = (self.service(), handle.clone());
        let assign = handle.assign(choice);
        let find = move |view: &View<'_>| {
            let registrant = &assign.registrant;
            require_enrollment(view, service.id_scope.as_str(), registrant)?;
            let stored = view.registration(service.id_scope.as_str(), &handle.registration_id)?;
            let (previous, wanted) = locations(view, &service, &assign, stored.as_ref())?;
            require_owner(view, &service, &assign, &wanted)?;
            let previous = previous.map(|at| located(view, &service, &at)).transpose();
            let mut previous = previous?.flatten();
            let unknown = || AssignError::UnknownHub(assign.choice.hub.clone());
            let wanted = located(view, &service, &wanted)?.ok_or_else(unknown)?;
            if let Some(left) = previous.as_mut().filter(|left| **left != wanted)
                && registrant.policy == ReprovisionPolicy::ResetData
            {
                // Nothing is read from it, so that its hub need not answer. It is removed there
                // should it exist.
                left.exists = left.exists.or(Some(true));
            }
            Ok(PlacementSources {
                previous,
                wanted,
                policy: registrant.policy,
                substatus: stored.as_ref().and_then(|row| row.substatus),
                plan: handle.pending.plan.clone(),
            })
        };
        self.registry.store().scan_shortly(find).await
    }

    /// Writes down what will be done, before it is. `None` when the handle is no longer current.
    pub async fn keep_plan(
        &self,
        handle: PendingHandle,
        plan: Plan,
        now: Timestamp,
    ) -> Result<Option<PendingHandle>, StorageError> {
        let step = KeepPlan { plan, now };
        let keep = OnHandle { handle, step, now };
        self.registry.store().write_without_act(keep).await
    }

    /// Ends a pending registration after its plan is carried out at remote hubs. In one
    /// transaction: what the plan wants in this directory, the record, and the removal of the
    /// device that is left.
    pub async fn finish_placement(
        &self,
        handle: PendingHandle,
        completed: CompletedPlacement,
        as_failure: fn(&AssignError) -> RegistrationFailure,
        now: Timestamp,
    ) -> Result<PlacementOutcome, StorageError> {
        let choice = &completed.placement.choice;
        let step = FinishPlacement {
            service: self.service_reader(),
            job: self.assign_job(handle.assign(choice), now),
            etag: self.registry.fresh_etag(),
            completed,
            as_failure,
        };
        let finish = OnHandle { handle, step, now };
        let finished = self.registry.store().write_without_act(finish).await?;
        Ok(finished.unwrap_or(PlacementOutcome::Gone))
    }
}

fn located(
    view: &View<'_>,
    service: &ProvisioningService,
    at: &DeviceLocation,
) -> Result<Option<LocatedDevice>, StorageError> {
    let Some(hub) = link(service, at) else {
        return Ok(None);
    };
    let exists = match is_remote(service, at) {
        // One that is about to be removed does not count.
        true => {
            let remote_task = view.remote_task(&at.hub, &at.device_id)?;
            remote_task
                .is_some_and(|remote_task| remote_task.kind == RemoteTaskKind::Remove)
                .then_some(false)
        }
        false => Some(find_device(view, at)?.is_some()),
    };
    Ok(Some(LocatedDevice {
        hub: hub.clone(),
        device_id: at.device_id.clone(),
        exists,
    }))
}

impl MovedData {
    /// Whether the twin has changed since it was read.
    fn is_stale(&self, view: &View<'_>, previous: &DeviceLocation) -> Result<bool, StorageError> {
        let Some(read_at) = &self.read_at else {
            return Ok(false);
        };
        Ok(twin_etag(view, previous)?.is_none_or(|now| now != *read_at))
    }
}

struct KeepPlan {
    plan: Plan,
    now: Timestamp,
}

impl HandleStep for KeepPlan {
    /// What an earlier plan created in vain.
    type Plan = Option<DeviceLocation>;
    type Output = PendingHandle;

    fn locks_of_plan<'a>(&'a self, created: &'a Self::Plan) -> Vec<Lock<'a>> {
        let place = &self.plan.decision.place;
        created.iter().chain([place]).map(device_lock).collect()
    }

    fn decide(&self, handle: &PendingHandle, view: &View<'_>) -> Result<Self::Plan, StorageError> {
        let (before, place) = (&handle.pending.plan, &self.plan.decision.place);
        created_in_vain(view, before.as_ref(), Some(place))
    }

    fn apply(
        &self,
        handle: &PendingHandle,
        tx: &Tx<'_>,
        created: Self::Plan,
    ) -> Result<PendingHandle, StoreError> {
        if let Some(created) = created {
            put_removal(tx, &created, self.now)?;
        }
        // Before anything is done there: a device that is created from now on is not the one that
        // was to be removed.
        let place = &self.plan.decision.place;
        tx.cancel_removal(place)?;
        let mut pending = handle.pending.clone();
        pending.plan = Some(self.plan.clone());
        handle.rewrite(tx, &pending)
    }
}
