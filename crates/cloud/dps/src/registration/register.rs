//! One registration, from a claim to a hub device with its first twin. Each step is a file of its own and returns a value
//! that only that file can make; the next step demands it. HTTPS, MQTT and WebSocket only decode, call this and encode.

use std::sync::Arc;

use ids::{IdScope, RegistrationId, Timestamp};
use pki::IssuerCache;
use provisioning::{
    Assign, AssignError, Assigned, EnrolledBy, FailRegistration, PendingRegistration, PendingStep,
    Placement, Provisioning,
};
use registry::StorageError;
use serde_json::Value;
use wire::device_api::registration::CsrClaim;

use crate::registration::allocate::{self, AllocationError, Asking, Route};
use crate::registration::attest::{self, Tpms, Verifiers};
use crate::registration::candidates::{self, GroupCache, KeyedGroups, KnownGroups};
use crate::registration::issue::{self, IssueFault};
use crate::registration::presented::Presented;
use crate::registration::refusal::{NotProven, Refusal};
use crate::remote_hub::health::HubHealth;

use super::assign;

/// A wish to register: the id asked for, and what is shown for it.
#[derive(Debug, Clone, Copy)]
pub struct Register<'a> {
    /// Of which service.
    pub id_scope: &'a IdScope,
    /// Who the device says it is.
    pub registration_id: &'a RegistrationId,
    /// By what it wants to prove that.
    pub presented: Presented<'a>,
    /// What it tells a custom allocation.
    pub payload: Option<&'a Value>,
    /// What it wants a certificate for.
    pub csr: Option<&'a CsrClaim>,
}

/// What a registration needs beside the request.
pub struct Deps {
    /// Enrollments, hubs, devices, registrations.
    pub registry: Provisioning,
    /// Issuers that were verified before.
    pub issuers: Arc<IssuerCache>,
    /// What TPMs are told.
    pub tpms: Tpms,
    /// Groups that were read before.
    pub groups: Arc<GroupCache>,
    /// Those of the service, by their certificates.
    pub known: KnownGroups,
    /// Those whose devices derive keys.
    pub keyed: KeyedGroups,
    /// The CAs that issue to devices.
    pub device_issuers: Arc<ca::DeviceIssuers>,
}

impl Deps {
    /// The same for another service of the server, with secrets of its own.
    pub fn of(&self, registry: Provisioning) -> Self {
        Self {
            tpms: Tpms::of(&registry.service()),
            registry,
            issuers: self.issuers.clone(),
            groups: self.groups.clone(),
            known: KnownGroups::default(),
            keyed: KeyedGroups::default(),
            device_issuers: self.device_issuers.clone(),
        }
    }

    /// What proofs are judged with.
    #[must_use]
    pub fn verifiers(&self) -> Verifiers<'_> {
        Verifiers {
            issuers: &self.issuers,
            tpms: &self.tpms,
        }
    }
}

/// How often a device is judged anew because its enrollment changed between proof and assignment.
const PROOFS: usize = 3;

/// What a registration has come to.
#[derive(Debug)]
pub enum Registered {
    /// The device has its hub.
    Assigned(Box<Assigned>),
    /// Somebody outside has to be asked first; the device polls until that is over.
    PendingRegistration,
}

/// Registers a device. When this returns `Ok`, hub device, twin and registration record are durable, or that it is under way.
///
/// # Errors
/// See [`RegisterError`].
pub async fn register(
    request: Register<'_>,
    deps: &Deps,
    hub_health: &HubHealth,
    now: Timestamp,
) -> Result<Registered, RegisterError> {
    if let Some(registered) = by_presumption(request, deps, hub_health, now).await? {
        return Ok(registered);
    }
    let mut proofs = 0;
    loop {
        let claim = attest::claim(request.id_scope, request.registration_id, request.presented)?;
        let candidates = candidates::find(&claim, deps).await?;
        let device = attest::prove(claim, candidates, deps.verifiers(), now)?;
        proofs += 1;

        let enrolled_by = assign::enrolled_by(&device);
        let (service, from) = (deps.registry.service(), request.presented.from);
        let outcome = match allocate::choose(device, &service, from, hub_health) {
            Ok(route) => follow(route, request, deps, now).await?,
            Err(error) => return remember(error.into(), request, enrolled_by, deps, now).await,
        };
        match outcome {
            Ok(registered) => return Ok(registered),
            Err(AssignError::EnrollmentChanged) if proofs < PROOFS => {}
            Err(AssignError::Storage(error)) => return Err(error.into()),
            Err(error) => return remember(error.into(), request, enrolled_by, deps, now).await,
        }
    }
}

/// Registers a device through a group that is in memory, as if it had no entry of its own. The transaction that assigns it reads the
/// entry that decides anyway; when that is another one, or there is no hub to choose, this says nothing, and everything is looked up.
async fn by_presumption(
    request: Register<'_>,
    deps: &Deps,
    hub_health: &HubHealth,
    now: Timestamp,
) -> Result<Option<Registered>, RegisterError> {
    if request.csr.is_some() {
        // Nothing is issued on a presumption.
        return Ok(None);
    }
    let claim = attest::claim(request.id_scope, request.registration_id, request.presented)?;
    let Some(groups) = candidates::presume(&claim, deps).await? else {
        return Ok(None);
    };
    let device = match attest::prove(claim, groups, deps.verifiers(), now) {
        Ok(device) => device,
        Err(refused) => {
            let own = deps.registry.find_individual(request.registration_id);
            return own.await?.map_or(Err(refused.into()), |_| Ok(None));
        }
    };
    let (service, from) = (deps.registry.service(), request.presented.from);
    match allocate::choose(device, &service, from, hub_health) {
        Ok(route) => Ok(follow(route, request, deps, now).await?.ok()),
        Err(_) => Ok(None),
    }
}

/// Goes the way that allocation says.
async fn follow(
    route: Route,
    request: Register<'_>,
    deps: &Deps,
    now: Timestamp,
) -> Result<Result<Registered, AssignError>, RegisterError> {
    match route {
        Route::Chosen(place) => {
            let issued = issue::issue(place.device(), &request, deps, now)?;
            let assign = || assign::assignment(&place, issued.as_ref());
            let assigned = deps.registry.assign(assign(), now).await;
            Ok(match assigned {
                Err(AssignError::NeedsRemoteHub) => begin_placement(assign(), deps, now).await,
                done => done.map(|assigned| Registered::Assigned(Box::new(assigned))),
            })
        }
        Route::Asking(asking) => ask(&asking, request, deps, now).await,
    }
}

/// Writes down that a webhook has to be asked.
async fn ask(
    asking: &Asking,
    request: Register<'_>,
    deps: &Deps,
    now: Timestamp,
) -> Result<Result<Registered, AssignError>, RegisterError> {
    let question = asking.question(&deps.registry, request.payload);
    let Some(question) = question.await? else {
        return Ok(Err(AssignError::EnrollmentChanged));
    };
    // Before the webhook is asked: what it answers does not change the certificate, and the request need not be kept.
    let issued = issue::issue(asking.device(), &request, deps, now)?;
    let registrant = assign::registrant(asking.device(), asking.device_id(), issued.as_ref());
    let pending = PendingRegistration::new(registrant, PendingStep::AskWebhook(question), now);
    let begun = deps.registry.begin_pending(pending, now).await;
    Ok(begun.map(|_| Registered::PendingRegistration))
}

/// Writes down that a remote hub has to be asked.
async fn begin_placement(
    assign: Assign,
    deps: &Deps,
    now: Timestamp,
) -> Result<Registered, AssignError> {
    let placing = Placement {
        choice: assign.choice,
        note: None,
    };
    let question = PendingStep::PlaceOnRemoteHub(Box::new(placing));
    let pending = PendingRegistration::new(assign.registrant, question, now);
    deps.registry.begin_pending(pending, now).await?;
    Ok(Registered::PendingRegistration)
}

/// Why a device was not assigned.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// It was not let in. Nothing is remembered.
    #[error(transparent)]
    NotProven(#[from] NotProven),
    /// It was let in and then something was missing. Remembered; the device learns it when it polls.
    #[error("registration {} failed", .0.registration_id)]
    Failed(Box<FailRegistration>, #[source] Failure),
    /// It was let in, and did not get the certificate that it asked for. Nothing is written.
    #[error(transparent)]
    NotIssued(#[from] IssueFault),
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What was missing.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A hub to choose.
    #[error(transparent)]
    Allocation(#[from] AllocationError),
    /// A place for the device at the hub.
    #[error(transparent)]
    Assignment(#[from] AssignError),
}

impl From<Box<Refusal>> for RegisterError {
    fn from(refusal: Box<Refusal>) -> Self {
        Self::NotProven(refusal.into())
    }
}

/// Writes a failure down, so that the device learns of it when it polls and the operator when he looks.
async fn remember(
    failure: Failure,
    request: Register<'_>,
    enrollment: EnrolledBy,
    deps: &Deps,
    now: Timestamp,
) -> Result<Registered, RegisterError> {
    let failed = FailRegistration {
        registration_id: request.registration_id.clone(),
        enrollment,
        failure: assign::failure(&failure),
    };
    deps.registry.fail_registration(failed.clone(), now).await?;
    Err(RegisterError::Failed(Box::new(failed), failure))
}
