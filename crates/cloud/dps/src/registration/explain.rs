//! What a registration would come to: the very steps of `register.rs`, without those that write.

use ids::{HubName, RegistrationId, Timestamp};
use pki::UnreadChain;
use provisioning::{AssignError, EnrollmentKey, PreviewAt, RegistrationRecord};
use wire::error::DpsErrorCode;
use wire::muster_api::explain::{
    EarlierAssignment, Explanation, RefusalReport, SeenToken, Verdict,
};
use wire::sas::UnverifiedToken;

use crate::refusal_log;
use crate::registration::allocate::{self, Allocation, Asking, Route};
use crate::registration::assign;
use crate::registration::attest::{self, AttestedDevice, Outcome, Trial};
use crate::registration::candidates::{self, Candidates};
use crate::registration::presented::Presented;
use crate::registration::refusal::{NotProven, Refusal, RefusalReason, seen, with_causes};
use crate::registration::register::{Deps, Failure, Register};
use crate::remote_hub::health::HubHealth;

mod notes;
mod tried;

/// Judges a registration as if it came from a device that holds the keys of what is shown. Writes nothing.
///
/// # Errors
/// When the storage fails.
pub async fn explain(
    request: Register<'_>,
    deps: &Deps,
    hub_health: &HubHealth,
    now: Timestamp,
) -> Result<Explanation, NotProven> {
    let mut trials = Vec::new();
    let judged = match judge(request, deps, hub_health, now, &mut trials).await {
        Err(NotProven::Refused(refusal)) => Judged::Refused(refusal),
        other => other?,
    };
    let (tried, not_listed) =
        tried::documents(&trials, &judged, request.presented.chain, deps).await?;
    Ok(Explanation {
        registration_id: Some(request.registration_id.clone()),
        verdict: judged.verdict(),
        token: seen_token(request.presented),
        tried,
        not_listed,
    })
}

/// What becomes of a device whose credential is for nobody, whatever it registers as.
#[must_use]
pub fn explain_nobody(presented: Presented<'_>, reason: &RefusalReason) -> Explanation {
    let chain = presented.chain.into_iter();
    let chain = chain.flat_map(|chain| std::iter::once(chain.leaf()).chain(chain.issuers()));
    let unread = presented.unread.into_iter();
    let unread = unread.flat_map(UnreadChain::certificates);
    Explanation {
        registration_id: None,
        verdict: Verdict::Refused {
            error_code: DpsErrorCode::InvalidCertificate.code(),
            report: RefusalReport {
                reason: reason.code().to_owned(),
                message: with_causes(reason),
                enrollment: None,
                chain: seen(chain.chain(unread)),
            },
        },
        token: seen_token(presented),
        tried: Vec::new(),
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

/// A verdict and whose it is.
enum Judged {
    Refused(Box<Refusal>),
    LetIn(EnrollmentKey, Verdict),
}

impl Judged {
    fn verdict(self) -> Verdict {
        match self {
            Self::LetIn(_, verdict) => verdict,
            Self::Refused(refusal) => Verdict::Refused {
                error_code: DpsErrorCode::InvalidCertificate.code(),
                report: refusal_log::report(&refusal),
            },
        }
    }
}

async fn judge(
    request: Register<'_>,
    deps: &Deps,
    hub_health: &HubHealth,
    now: Timestamp,
    trials: &mut Vec<Trial>,
) -> Result<Judged, NotProven> {
    let claim = attest::claim(request.id_scope, request.registration_id, request.presented)?;
    let found = candidates::find(&claim, deps).await;
    if !matches!(found, Ok(Candidates::Individual(_))) {
        trials.push(no_individual(request.registration_id));
    }
    let candidates = found?;
    trials.extend(attest::trials(&claim, &candidates, deps.verifiers(), now));
    let device = attest::prove(claim, candidates, deps.verifiers(), now)?;
    let decided_by = device.enrollment().entry().key().clone();
    let verdict = place(device, request, deps, hub_health).await?;
    Ok(Judged::LetIn(decided_by, verdict))
}

fn no_individual(id: &RegistrationId) -> Trial {
    Trial {
        key: EnrollmentKey::Individual(id.clone()),
        by: attest::Means::Entry,
        outcome: Outcome::Absent,
    }
}

/// What becomes of a device that is let in.
async fn place(
    device: AttestedDevice,
    request: Register<'_>,
    deps: &Deps,
    hub_health: &HubHealth,
) -> Result<Verdict, NotProven> {
    let enrollment = device.enrollment().entry().key().to_string();
    let service = deps.registry.service();
    match allocate::choose(device, &service, request.presented.from, hub_health) {
        Ok(Route::Asking(asking)) => asks(&asking, enrollment, deps).await,
        Ok(Route::Chosen(place)) => assigned(&place, request, enrollment, deps).await,
        Err(error) => Ok(failed(enrollment, &error.into())),
    }
}

async fn assigned(
    place: &Allocation,
    request: Register<'_>,
    enrollment: String,
    deps: &Deps,
) -> Result<Verdict, NotProven> {
    let assign = assign::assignment(place, None);
    let preview = match deps.registry.preview(&assign).await {
        Ok(preview) => preview,
        Err(AssignError::Storage(error)) => return Err(error.into()),
        Err(error) => return Ok(failed(enrollment, &error.into())),
    };
    let service = deps.registry.service();
    let host = |name: &HubName| service.hub(name).map(|hub| hub.host.clone());
    let Some(assigned_hub) = host(&preview.hub) else {
        // It was unlinked a moment ago.
        let error = AssignError::UnknownHub(preview.hub);
        return Ok(failed(enrollment, &error.into()));
    };
    let notes = notes::of(&preview, place, &service, request.presented.from);
    let earlier = preview.previous.and_then(|(hub, device_id)| {
        Some(EarlierAssignment {
            assigned_hub: host(&hub)?,
            device_id,
        })
    });
    let device_id = preview.device_id;
    Ok(match preview.at {
        PreviewAt::Here { substatus, .. } => Verdict::Accepted {
            enrollment,
            assigned_hub,
            device_id,
            substatus: crate::registration::result::substatus_of(substatus),
            earlier,
            notes,
        },
        PreviewAt::NeedsRemoteHub => Verdict::Asks {
            enrollment,
            assigned_hub: Some(assigned_hub),
            device_id: Some(device_id),
            earlier,
            notes,
        },
    })
}

async fn asks(asking: &Asking, enrollment: String, deps: &Deps) -> Result<Verdict, NotProven> {
    let device = asking.device();
    let record = deps.registry.registration(device.registration_id()).await?;
    let assignment = record.as_ref().and_then(RegistrationRecord::assignment);
    let service = deps.registry.service();
    let earlier = assignment.and_then(|(hub, device_id)| {
        Some(EarlierAssignment {
            assigned_hub: service.hub(hub)?.host.clone(),
            device_id: device_id.clone(),
        })
    });
    let policy = device.enrollment().entry().reprovision();
    Ok(Verdict::Asks {
        enrollment,
        assigned_hub: None,
        device_id: None,
        notes: notes::of_asking(earlier.as_ref(), policy),
        earlier,
    })
}

fn failed(enrollment: String, failure: &Failure) -> Verdict {
    let failure = assign::failure(failure);
    Verdict::Failed {
        enrollment,
        error_code: failure.code,
        message: failure.message,
    }
}
