//! A device comes from a remote hub, goes to one, or is in one. Everything that is done
//! there can be done twice: a server that was killed does it again, by the plan that was
//! stored before anything was done.

mod moved_data;
mod remote_device;

use provisioning::{
    AssignError, CompletedPlacement, LocatedDevice, MovedData, Placement, PlacementOutcome,
    PlacementSources, Plan, PlanStep, RegistrationFailure,
};
use registry::StorageError;
use wire::error::DpsErrorCode;

use super::resume::{Attempt, AttemptError};
use crate::registration::{assign, result};
use crate::remote_hub::client::RemoteHub;
use crate::remote_hub::fault::RemoteFault;

use remote_device::RemoteDevice;

enum Fault {
    Remote(RemoteFault),
    Assign(AssignError),
    Storage(StorageError),
    /// It waited too long.
    Stale,
    /// Its registration is another one by now, and is resumed by itself.
    Gone,
    /// A device that was not there when the plan was made is there now, and
    /// not created by this plan.
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

pub async fn resume(mut attempt: Attempt<'_>, placement: Placement) -> Result<(), StorageError> {
    let fault = match place(&mut attempt, &placement).await {
        Ok(()) => return Ok(()),
        Err(fault) => fault,
    };
    match describe(fault, placement)? {
        Some(error) => attempt.retry_or_fail(error).await,
        None => Ok(()),
    }
}

/// Why the try failed, for the device and for the operator. `None` when there is nothing to retry.
fn describe(fault: Fault, placement: Placement) -> Result<Option<AttemptError>, StorageError> {
    let unavailable = |message: &str| RegistrationFailure {
        code: DpsErrorCode::ServiceUnavailable.code(),
        message: message.to_owned(),
    };
    let (failure, may_pass, for_operator) = match fault {
        Fault::Storage(error) => return Err(error),
        Fault::Gone => return Ok(None),
        // It was decided anew once, and then the device was deleted and created again.
        Fault::Appeared => {
            let why = "the device was changed at its hub meanwhile; register again";
            (unavailable(why), true, None)
        }
        Fault::Assign(error) => (assign::assignment_failure(&error), false, None),
        Fault::Stale => {
            let why = "too many registrations wait for this hub; register again";
            (unavailable(why), false, None)
        }
        Fault::Remote(fault) => {
            let failure = RegistrationFailure {
                code: fault.code(),
                message: fault.to_string(),
            };
            (failure, fault.may_pass(), Some(fault.with_answer()))
        }
    };
    let mut note = placement.note_for_operator().unwrap_or_default();
    note.hub = Some(placement.choice.hub);
    note.failure = Some(for_operator.unwrap_or_else(|| failure.message.clone()));
    Ok(Some(AttemptError {
        failure,
        may_pass,
        note,
    }))
}

async fn place(attempt: &mut Attempt<'_>, placement: &Placement) -> Result<(), Fault> {
    let (dps, provisioning) = (attempt.dps, attempt.provisioning().clone());
    if attempt.pending.is_stale(dps.now()) {
        return Err(Fault::Stale);
    }
    let sources = provisioning.placement_sources(&attempt.handle, &placement.choice);
    let sources = sources.await?;
    let (plan, moved) = carry_out(attempt, placement, &sources).await?;
    let completed = CompletedPlacement {
        placement: placement.clone(),
        plan,
        moved,
    };
    let (handle, as_failure) = (attempt.handle.clone(), assign::assignment_failure);
    let finished = provisioning.finish_placement(handle, completed, as_failure, dps.now());
    match finished.await? {
        PlacementOutcome::Over(record) => {
            result::log_assigned(&record);
            // The previous device may have to be removed.
            dps.wake_remote_tasks();
            Ok(())
        }
        PlacementOutcome::Stale => Err(Fault::Remote(RemoteFault::Changed {
            hub: sources.previous.unwrap_or(sources.wanted).hub.name,
        })),
        PlacementOutcome::Gone => Err(Fault::Gone),
    }
}

/// Carries out the plan that an earlier try stored, or one that is decided now.
async fn carry_out(
    attempt: &mut Attempt<'_>,
    placement: &Placement,
    sources: &PlacementSources,
) -> Result<(Plan, Option<MovedData>), Fault> {
    let (plan, begun_before) = match sources.begun() {
        Some(plan) => (plan, true),
        None => (decide(attempt, sources).await?, false),
    };
    match act(attempt, placement, sources, (&plan, begun_before)).await {
        Err(Fault::Appeared) => {
            // It is found now, and keeps what it has, as one that was created beforehand.
            let plan = decide(attempt, sources).await?;
            let moved = act(attempt, placement, sources, (&plan, false)).await?;
            Ok((plan, moved))
        }
        moved => Ok((plan, moved?)),
    }
}

/// Finds out what is there, decides, and stores the plan.
async fn decide(attempt: &mut Attempt<'_>, sources: &PlacementSources) -> Result<Plan, Fault> {
    let wanted = exists(attempt, &sources.wanted).await?;
    let previous = match &sources.previous {
        Some(previous) if *previous == sources.wanted => wanted,
        Some(previous) => exists(attempt, previous).await?,
        None => false,
    };
    let plan = sources.decide(previous, wanted);
    let (handle, now) = (attempt.handle.clone(), attempt.dps.now());
    let kept = attempt.provisioning().keep_plan(handle, plan.clone(), now);
    attempt.handle = kept.await?.ok_or(Fault::Gone)?;
    Ok(plan)
}

async fn exists(attempt: &Attempt<'_>, located: &LocatedDevice) -> Result<bool, Fault> {
    match (
        located.exists,
        RemoteHub::for_link(attempt.dps, &located.hub),
    ) {
        (Some(known), _) => Ok(known),
        (None, Some(remote)) => Ok(remote.device(&located.device_id).await?.is_some()),
        (None, None) => Ok(false),
    }
}

/// Does what the plan says at the remote hubs. Returns what the device takes along to its new hub.
async fn act(
    attempt: &Attempt<'_>,
    placement: &Placement,
    sources: &PlacementSources,
    (plan, begun_before): (&Plan, bool),
) -> Result<Option<MovedData>, Fault> {
    let moved = match (plan.step(), &sources.previous) {
        (PlanStep::Bring, Some(previous)) => moved_data::read(attempt, previous).await?,
        _ => None,
    };
    let target = &sources.wanted;
    if let Some(remote) = RemoteHub::for_link(attempt.dps, &target.hub) {
        let device = RemoteDevice {
            remote,
            registrant: &attempt.pending.registrant,
            choice: &placement.choice,
            device_id: &target.device_id,
            begun_before,
        };
        match plan.step() {
            PlanStep::Create | PlanStep::Bring => device.create(moved.as_ref()).await?,
            PlanStep::Refresh => device.refresh(false).await?,
            PlanStep::Reset => device.refresh(true).await?,
        }
    }
    Ok(moved)
}
