//! What a registration would come to: the very steps of `register.rs`, without the one that writes.

use ids::Timestamp;
use wire::error::DpsErrorCode;
use wire::verdict::Verdict;

use crate::allocate::{self, Route};
use crate::attest;
use crate::enrollment;
use crate::health::Vitals;
use crate::refusal::NotProven;
use crate::refused;
use crate::register::{Deps, Register};

/// Judges a registration as if it came from a device that holds the keys of what is shown.
///
/// # Errors
/// When the storage fails.
pub async fn explain(
    request: Register<'_>,
    deps: &Deps,
    vitals: &Vitals,
    now: Timestamp,
) -> Result<Verdict, NotProven> {
    match judge(request, deps, vitals, now).await {
        Err(NotProven::Refused(refusal)) => Ok(Verdict::Refused {
            registration_id: refusal.registration_id.clone(),
            error_code: DpsErrorCode::InvalidCertificate.code(),
            report: refused::report(&refusal),
        }),
        other => other,
    }
}

async fn judge(
    request: Register<'_>,
    deps: &Deps,
    vitals: &Vitals,
    now: Timestamp,
) -> Result<Verdict, NotProven> {
    let claim = attest::claim(request.id_scope, request.registration_id, request.presented)?;
    let candidates = enrollment::find(&claim, deps).await?;
    let device = attest::prove(claim, candidates, deps.verifiers(), now)?;
    let registration_id = device.registration_id().clone();
    let enrollment = device.enrollment().entry().key().to_string();
    let service = deps.registry.service();
    Ok(
        match allocate::choose(device, &service, request.presented.from, vitals) {
            Ok(Route::Asking(_)) => Verdict::Asks {
                registration_id,
                enrollment,
            },
            Ok(Route::Chosen(place)) => match service.hub(place.hub()) {
                Some(hub) => Verdict::Accepted {
                    registration_id,
                    enrollment,
                    assigned_hub: hub.host.clone(),
                    device_id: place.device_id().clone(),
                },
                None => Verdict::Failed {
                    registration_id,
                    enrollment,
                    message: format!("hub {} is not linked", place.hub()),
                },
            },
            Err(error) => Verdict::Failed {
                registration_id,
                enrollment,
                message: error.to_string(),
            },
        },
    )
}
