//! What a device may read of its registration after it registered.

use ids::Timestamp;
use provisioning::{RegistrationRecord, RegistrationState};

use crate::registration::attest::{self, Evidence};
use crate::registration::candidates;
use crate::registration::refusal::NotProven;
use crate::registration::register::{Deps, Register};
use crate::registration::result;

/// The registration that a poll asks for, for the device that made it. The certificate it registered with is proof enough:
/// the handshake shows that the same device asks. Any other certificate is judged as if it registered, and so is a device that was
/// shut out with its enrollment.
///
/// # Errors
/// When the device is refused, or the storage fails.
pub async fn poll(
    request: Register<'_>,
    deps: &Deps,
    now: Timestamp,
) -> Result<Option<RegistrationRecord>, NotProven> {
    let claim = attest::claim(request.id_scope, request.registration_id, request.presented)?;
    let record = deps.registry.registration(request.registration_id).await?;
    if let Some(record) = record
        && let Evidence::Certificate(chain) = claim.evidence()
        && !matches!(record.state, RegistrationState::Disabled { .. })
        && is_registered_with(&record, chain.leaf())
    {
        return Ok(Some(record));
    }
    look_up(request, deps, now).await
}

/// The registration of a device that proves itself anew.
///
/// # Errors
/// When the device is refused, or the storage fails.
pub async fn look_up(
    request: Register<'_>,
    deps: &Deps,
    now: Timestamp,
) -> Result<Option<RegistrationRecord>, NotProven> {
    let claim = attest::claim(request.id_scope, request.registration_id, request.presented)?;
    let candidates = candidates::find(&claim, deps).await?;
    attest::prove(claim, candidates, deps.verifiers(), now)?;
    Ok(deps.registry.registration(request.registration_id).await?)
}

fn is_registered_with(record: &RegistrationRecord, leaf: &pki::Certificate) -> bool {
    let x509 = result::detail(record).x509;
    let info = x509.and_then(|x509| x509.certificate_info);
    info.is_some_and(|info| info.sha256_thumbprint == leaf.sha256().to_string())
}
