//! A device comes from, goes to or is in a remote hub. What is done there can be done twice: a server that was killed does it again,
//! by the plan that was written down before anything was done.

use ids::Identity;
use provisioning::{
    AssignError, CompletedPlacement, LinkedHub, LocatedDevice, MovedData, Placement,
    PlacementOutcome, PlacementSources, Plan, PlanStep, RegistrationFailure,
};
use registry::{IdentityRecord, InitialTwin, StorageError, TwinError, TwinRecord};
use serde_json::{Map, Value};
use wire::error::DpsErrorCode;
use wire::service_api::identity::{Authentication, Status};
use wire::service_api::remote_hub::{NewDevice, RemoteTwin};

use super::{Attempt, AttemptError};
use crate::registration::{assign, result};
use crate::remote_hub::client::RemoteHub;
use crate::remote_hub::fault::RemoteFault;

/// Why a device was not placed.
enum Fault {
    Remote(RemoteFault),
    Assign(AssignError),
    Storage(StorageError),
    /// It waited too long for its turn.
    Stale,
    /// Its registration is another one by now, and gone on with by itself.
    Gone,
    /// A device that was not there when the plan was made is there now, and this plan has not made it.
    Appeared,
}

impl From<RemoteFault> for Fault {
    fn from(fault: RemoteFault) -> Self {
        Self::Remote(fault)
    }
}

impl From<StorageError> for Fault {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl From<AssignError> for Fault {
    fn from(error: AssignError) -> Self {
        match error {
            AssignError::Storage(error) => Self::Storage(error),
            other => Self::Assign(other),
        }
    }
}

/// One try.
pub async fn go_on(mut attempt: Attempt<'_>, placing: Placement) -> Result<(), StorageError> {
    let fault = match place(&mut attempt, &placing).await {
        Ok(()) => return Ok(()),
        Err(fault) => fault,
    };
    let message = |code: DpsErrorCode, message: &str| RegistrationFailure {
        code: code.code(),
        message: message.to_owned(),
    };
    let (failure, may_pass, said) = match fault {
        Fault::Storage(error) => return Err(error),
        Fault::Gone => return Ok(()),
        // It was decided anew once, and then somebody deleted it and made it again.
        Fault::Appeared => {
            let why = "the device was changed at its hub meanwhile; register again";
            (message(DpsErrorCode::ServiceUnavailable, why), true, None)
        }
        Fault::Assign(error) => (assign::assignment_failure(&error), false, None),
        Fault::Stale => {
            let why = "too many registrations wait for this hub; register again";
            (message(DpsErrorCode::ServiceUnavailable, why), false, None)
        }
        Fault::Remote(fault) => {
            let failure = RegistrationFailure {
                code: fault.code(),
                message: fault.to_string(),
            };
            (failure, fault.may_pass(), Some(fault.said()))
        }
    };
    let mut note = placing.told().unwrap_or_default();
    note.hub = Some(placing.choice.hub);
    note.failure = Some(said.unwrap_or_else(|| failure.message.clone()));
    let error = AttemptError {
        failure,
        may_pass,
        note,
    };
    attempt.again_or_never(error).await
}

async fn place(attempt: &mut Attempt<'_>, placing: &Placement) -> Result<(), Fault> {
    let (dps, registry) = (attempt.dps, attempt.registry().clone());
    if attempt.pending.is_stale(dps.now()) {
        return Err(Fault::Stale);
    }
    let placement_sources = registry
        .placement_sources(&attempt.handle, &placing.choice)
        .await?;
    let (mut plan, begun_before) = match placement_sources.begun() {
        Some(plan) => (plan, true),
        None => (decide(attempt, &placement_sources).await?, false),
    };
    let mut acted = act(attempt, placing, &placement_sources, (&plan, begun_before)).await;
    if let Err(Fault::Appeared) = acted {
        // It is found now, and keeps what it has, as one that was made beforehand.
        plan = decide(attempt, &placement_sources).await?;
        acted = act(attempt, placing, &placement_sources, (&plan, false)).await;
    }
    let carried = acted?;
    let placed = CompletedPlacement {
        placing: placing.clone(),
        plan,
        moved: carried,
    };
    let (handle, as_failure) = (attempt.handle.clone(), assign::assignment_failure);
    let settled = registry.finish_placement(handle, placed, as_failure, dps.now());
    match settled.await? {
        PlacementOutcome::Over(record) => {
            result::log_assigned(&record);
            // The device of before may have to be removed.
            dps.wake_remote_tasks();
            Ok(())
        }
        PlacementOutcome::Stale => Err(Fault::Remote(RemoteFault::Changed {
            hub: placement_sources
                .previous
                .unwrap_or(placement_sources.wanted)
                .hub
                .name,
        })),
        PlacementOutcome::Gone => Err(Fault::Gone),
    }
}

/// Finds out what is there, decides, and writes the decision down.
async fn decide(
    attempt: &mut Attempt<'_>,
    placement_sources: &PlacementSources,
) -> Result<Plan, Fault> {
    let wanted = exists(attempt, &placement_sources.wanted).await?;
    let previous = match &placement_sources.previous {
        Some(previous) if *previous == placement_sources.wanted => wanted,
        Some(previous) => exists(attempt, previous).await?,
        None => false,
    };
    let plan = placement_sources.decide(previous, wanted);
    let (handle, now) = (attempt.handle.clone(), attempt.dps.now());
    let kept = attempt.registry().keep_plan(handle, plan.clone(), now);
    attempt.handle = kept.await?.ok_or(Fault::Gone)?;
    Ok(plan)
}

async fn exists(attempt: &Attempt<'_>, located: &LocatedDevice) -> Result<bool, Fault> {
    match (located.exists, RemoteHub::of(attempt.dps, &located.hub)) {
        (Some(known), _) => Ok(known),
        (None, Some(remote)) => Ok(remote.device(&located.device_id).await?.is_some()),
        (None, None) => Ok(false),
    }
}

/// What has to be done elsewhere; what the device brings along, when it comes to this directory.
async fn act(
    attempt: &Attempt<'_>,
    placing: &Placement,
    placement_sources: &PlacementSources,
    (plan, begun_before): (&Plan, bool),
) -> Result<Option<MovedData>, Fault> {
    let carried = match (plan.step(), &placement_sources.previous) {
        (PlanStep::Bring, Some(previous)) => read(attempt, previous).await?,
        _ => None,
    };
    let target = &placement_sources.wanted;
    if let Some(remote) = RemoteHub::of(attempt.dps, &target.hub) {
        let work = AtHub {
            remote,
            attempt,
            placing,
            target,
            begun_before,
        };
        match plan.step() {
            PlanStep::Create | PlanStep::Bring => work.make(carried.as_ref()).await?,
            PlanStep::Refresh => work.refresh(false).await?,
            PlanStep::Reset => work.refresh(true).await?,
        }
    }
    Ok(carried)
}

/// What the device of before has. `None` when it is there no longer.
async fn read(attempt: &Attempt<'_>, located: &LocatedDevice) -> Result<Option<MovedData>, Fault> {
    let Some(remote) = RemoteHub::of(attempt.dps, &located.hub) else {
        return read_here(attempt, &located.hub, located).await;
    };
    let Some(device) = remote.device(&located.device_id).await? else {
        return Ok(None);
    };
    let Some(RemoteTwin {
        tags,
        desired,
        reported,
    }) = remote.twin(&located.device_id).await?
    else {
        return Ok(None);
    };
    Ok(Some(MovedData {
        status: device.status,
        status_reason: device.status_reason,
        iot_edge: device.iot_edge,
        twin: taken_over(&located.hub, &tags, &desired)?,
        reported,
        read_at: None,
    }))
}

async fn read_here(
    attempt: &Attempt<'_>,
    hub: &LinkedHub,
    located: &LocatedDevice,
) -> Result<Option<MovedData>, Fault> {
    let identity = Identity::device(hub.name.clone(), located.device_id.clone());
    let found = attempt.registry().registry().twin(&identity).await;
    let (twin, device) = match found {
        Ok(TwinRecord {
            twin,
            identity: IdentityRecord::Device(device),
        }) => (twin, device),
        Err(TwinError::Storage(error)) => return Err(error.into()),
        Ok(_) | Err(_) => return Ok(None),
    };
    Ok(Some(MovedData {
        status: device.status,
        status_reason: device.status_reason,
        iot_edge: device.iot_edge,
        twin: taken_over(hub, &twin.tags, &twin.desired.document)?,
        reported: twin.reported.document,
        read_at: Some(twin.etag),
    }))
}

/// What another hub has of a twin, if it is within the limits of twins.
fn taken_over(
    hub: &LinkedHub,
    tags: &Map<String, Value>,
    desired: &Map<String, Value>,
) -> Result<InitialTwin, Fault> {
    let unreadable = |error: TwinError| RemoteFault::Unreadable {
        hub: hub.name.clone(),
        problem: format!("the device's twin is none: {error}"),
    };
    Ok(InitialTwin::new(tags, desired).map_err(unreadable)?)
}

/// The remote hub that a device gets, or stays in.
struct AtHub<'a> {
    remote: RemoteHub<'a>,
    attempt: &'a Attempt<'a>,
    placing: &'a Placement,
    target: &'a LocatedDevice,
    /// Whether an earlier try may have made the device.
    begun_before: bool,
}

impl AtHub<'_> {
    /// A device that there was not when the plan was made. One that is there now is what an earlier try made, if there was one and it
    /// proves itself as that made it; another one is somebody's who was faster.
    async fn make(&self, carried: Option<&MovedData>) -> Result<(), Fault> {
        let registrant = &self.attempt.pending.registrant;
        let authentication = registrant.proof.authentication();
        let id = &self.target.device_id;
        let disabled = carried.filter(|carried| carried.status == Status::Disabled);
        let new = NewDevice {
            device_id: id,
            authentication: &authentication,
            iot_edge: carried.map_or(registrant.iot_edge, |carried| carried.iot_edge),
            disabled: disabled.map(|of| of.status_reason.as_deref().unwrap_or_default()),
        };
        let created = self.remote.create(&new).await?;
        if !created {
            self.require_own(&authentication).await?;
        }
        let [tags, desired] = self.twin(carried)?;
        // The twin of a new device is empty.
        if !created || !tags.is_empty() || !desired.is_empty() {
            let body = RemoteTwin::body(&tags, &desired);
            self.remote.put_twin(id, &body).await?;
        }
        Ok(())
    }

    async fn require_own(&self, made_with: &Authentication) -> Result<(), Fault> {
        let found = self.remote.device(&self.target.device_id).await?;
        let found = found.ok_or_else(|| self.remote.changed())?;
        match self.begun_before && found.authentication.as_ref() == Some(made_with) {
            true => Ok(()),
            false => Err(Fault::Appeared),
        }
    }

    /// A device that was there keeps all but what it proves itself with; its twin as well, unless it starts again or a webhook
    /// answered with one.
    async fn refresh(&self, again: bool) -> Result<(), Fault> {
        let iot_edge = again && self.attempt.pending.registrant.iot_edge;
        self.prove_by_now(iot_edge).await?;
        if again || self.placing.choice.twin.is_some() {
            let [tags, desired] = self.twin(None)?;
            let body = RemoteTwin::body(&tags, &desired);
            self.remote.put_twin(&self.target.device_id, &body).await?;
        }
        Ok(())
    }

    async fn prove_by_now(&self, iot_edge: bool) -> Result<(), Fault> {
        let authentication = self.attempt.pending.registrant.proof.authentication();
        let id = &self.target.device_id;
        let found = self.remote.device(id).await?;
        let found = found.ok_or_else(|| self.remote.changed())?;
        let body = match iot_edge && !found.iot_edge {
            true => found.of_edge_proving_itself_by(&authentication),
            false if found.authentication.as_ref() == Some(&authentication) => return Ok(()),
            false => found.proving_itself_by(&authentication),
        };
        Ok(self.remote.update(id, &found.etag, &body).await?)
    }

    /// Tags and desired properties: the webhook's, else those that it brings along, else its enrollment's.
    fn twin(&self, carried: Option<&MovedData>) -> Result<[Map<String, Value>; 2], Fault> {
        let registrant = &self.attempt.pending.registrant;
        Ok(match (&self.placing.choice.twin, carried) {
            (Some(twin), _) => twin.documents()?,
            (None, Some(carried)) => carried.twin.documents()?,
            (None, None) => registrant.initial_twin.documents()?,
        })
    }
}
