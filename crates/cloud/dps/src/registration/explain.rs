//! What a registration would come to now: the steps of `register.rs` with a
//! trace, without those that write.

use ids::{HubName, RegistrationId, Timestamp, error_chain};
use pki::UnreadChain;
use provisioning::{AssignError, EnrollmentKey, PreviewAt, RegistrationRecord};
use wire::error::DpsErrorCode;
use wire::muster_api::explain::ExplainedOutcome as Decision;
use wire::muster_api::explain::{EarlierAssignment, Explanation, SeenToken};
use wire::muster_api::refusal::RefusalReport;
use wire::sas::UnverifiedToken;

use crate::refusal_log;
use crate::registration::allocate::{self, Allocation, CustomAllocation, Route};
use crate::registration::assign;
use crate::registration::attest::{self, AttestedDevice, Comparison, Credential, Finding};
use crate::registration::candidates::{self, Candidates, Found, Source};
use crate::registration::claim;
use crate::registration::context::Context;
use crate::registration::not_proven::NotProven;
use crate::registration::presented::Presented;
use crate::registration::refusal::{Refusal, RefusalReason, seen};
use crate::registration::request::Register;
use crate::registration::result;
use crate::registration::unregistered::Failure;
use crate::remote_hub::health::HubHealth;

mod comparisons;
mod notes;
mod pins;

/// Explains a registration as if it came from a device that holds the keys of
/// what is presented. Writes nothing.
pub async fn explain(
    request: Register<'_>,
    context: &Context,
    hub_health: &HubHealth,
    now: Timestamp,
) -> Result<Explanation, NotProven> {
    let mut trace = Vec::new();
    let outcome = match walk(request, context, hub_health, now, &mut trace).await {
        Err(NotProven::Refused(refusal)) => Outcome::Refused(refusal),
        other => other?,
    };
    let chain = request.presented.chain;
    let (compared, not_listed) = comparisons::describe(&trace, &outcome, chain, context).await?;
    Ok(Explanation {
        registration_id: Some(request.registration_id.clone()),
        outcome: outcome.decision(),
        token: seen_token(request.presented),
        compared,
        not_listed,
    })
}

/// Explains a credential that names no registration id.
pub fn without_id(presented: Presented<'_>, reason: &RefusalReason) -> Explanation {
    let chain = presented.chain.into_iter();
    let chain = chain.flat_map(|chain| std::iter::once(chain.leaf()).chain(chain.issuers()));
    let unread = presented.unread.into_iter();
    let unread = unread.flat_map(UnreadChain::certificates);
    Explanation {
        registration_id: None,
        outcome: Decision::Refused {
            error_code: DpsErrorCode::InvalidCertificate.code(),
            report: RefusalReport {
                reason: reason.code().to_owned(),
                message: error_chain(reason),
                enrollment: None,
                chain: seen(chain.chain(unread)),
            },
        },
        token: seen_token(presented),
        compared: Vec::new(),
        not_listed: 0,
    }
}

fn seen_token(presented: Presented<'_>) -> Option<SeenToken> {
    let token = presented.token?;
    let token = UnverifiedToken::parse(token.reveal()).ok()?;
    Some(SeenToken {
        resource: token.resource().to_owned(),
        expires_utc: token.expiry(),
    })
}

/// What the walk comes to, and the enrollment that decides.
enum Outcome {
    Refused(Box<Refusal>),
    LetIn(EnrollmentKey, Decision),
}

impl Outcome {
    fn decision(self) -> Decision {
        match self {
            Self::LetIn(_, decision) => decision,
            Self::Refused(refusal) => Decision::Refused {
                error_code: DpsErrorCode::InvalidCertificate.code(),
                report: refusal_log::report(&*refusal),
            },
        }
    }
}

async fn walk(
    request: Register<'_>,
    context: &Context,
    hub_health: &HubHealth,
    now: Timestamp,
    trace: &mut Vec<Comparison>,
) -> Result<Outcome, NotProven> {
    let provisioning = &context.provisioning;
    let claim = claim::read(&request)?;
    let found = candidates::find(&claim, Source::Store, provisioning, &context.groups).await;
    if !is_individual(&found) {
        trace.push(no_individual(request.registration_id));
    }
    let device = attest::prove(claim, found?.candidates, context.verifiers(), now, trace)?;
    let enrollment = device.enrollment().key().clone();
    let decision = preview(device, request, context, hub_health).await?;
    Ok(Outcome::LetIn(enrollment, decision))
}

fn is_individual(found: &Result<Found, NotProven>) -> bool {
    let candidates = found.as_ref().map(|found| &found.candidates);
    matches!(candidates, Ok(Candidates::Individual(_)))
}

fn no_individual(id: &RegistrationId) -> Comparison {
    let key = EnrollmentKey::Individual(id.clone());
    Comparison::new(&key, Credential::Any, Finding::NoEnrollment)
}

/// What happens to a device that is let in.
async fn preview(
    device: AttestedDevice,
    request: Register<'_>,
    context: &Context,
    hub_health: &HubHealth,
) -> Result<Decision, NotProven> {
    let enrollment = device.enrollment().key().to_string();
    let service = context.provisioning.service();
    match allocate::choose(device, &service, request.presented.from, hub_health) {
        Ok(Route::Custom(custom)) => asks(&custom, enrollment, context).await,
        Ok(Route::Chosen(allocation)) => assigned(&allocation, request, enrollment, context).await,
        Err(unallocated) => Ok(failed(enrollment, &unallocated.error.into())),
    }
}

async fn assigned(
    allocation: &Allocation,
    request: Register<'_>,
    enrollment: String,
    context: &Context,
) -> Result<Decision, NotProven> {
    let assign = assign::assignment(allocation, None);
    let preview = match context.provisioning.preview(&assign).await {
        Ok(preview) => preview,
        Err(AssignError::Storage(error)) => return Err(error.into()),
        Err(error) => return Ok(failed(enrollment, &error.into())),
    };
    let service = context.provisioning.service();
    let host = |name: &HubName| service.hub(name).map(|hub| hub.host.clone());
    let Some(assigned_hub) = host(&preview.hub) else {
        // It was unlinked a moment ago.
        let error = AssignError::UnknownHub(preview.hub);
        return Ok(failed(enrollment, &error.into()));
    };
    let mut notes = notes::on_assignment(&preview, allocation, &service, request.presented.from);
    notes.extend(pins::on_proof(allocation.device(), &context.provisioning)?);
    let earlier = preview.previous.and_then(|(hub, device_id)| {
        Some(EarlierAssignment {
            assigned_hub: host(&hub)?,
            device_id,
        })
    });
    let device_id = preview.device_id;
    Ok(match preview.at {
        PreviewAt::Here { substatus, .. } => Decision::Accepted {
            enrollment,
            assigned_hub,
            device_id,
            substatus: result::substatus_of(substatus),
            earlier,
            notes,
        },
        PreviewAt::NeedsRemoteHub => Decision::Asks {
            enrollment,
            assigned_hub: Some(assigned_hub),
            device_id: Some(device_id),
            earlier,
            notes,
        },
    })
}

async fn asks(
    custom: &CustomAllocation,
    enrollment: String,
    context: &Context,
) -> Result<Decision, NotProven> {
    let device = custom.device();
    let record = context
        .provisioning
        .registration(device.registration_id())
        .await?;
    let assignment = record.as_ref().and_then(RegistrationRecord::assignment);
    let service = context.provisioning.service();
    let earlier = assignment.and_then(|(hub, device_id)| {
        Some(EarlierAssignment {
            assigned_hub: service.hub(hub)?.host.clone(),
            device_id: device_id.clone(),
        })
    });
    let policy = device.enrollment().reprovision();
    let mut notes = notes::on_custom(earlier.as_ref(), policy);
    notes.extend(pins::on_proof(device, &context.provisioning)?);
    Ok(Decision::Asks {
        enrollment,
        assigned_hub: None,
        device_id: None,
        notes,
        earlier,
    })
}

fn failed(enrollment: String, failure: &Failure) -> Decision {
    let failure = assign::failure(failure);
    Decision::Failed {
        enrollment,
        error_code: failure.code,
        message: failure.message,
    }
}
