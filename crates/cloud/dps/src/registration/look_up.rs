//! The registration of a device that registered before.

use ids::Timestamp;
use provisioning::{RegistrationRecord, RegistrationState};

use crate::registration::candidates::{self, Source};
use crate::registration::claim::{self, ClaimedDevice, Evidence};
use crate::registration::context::Context;
use crate::registration::not_proven::NotProven;
use crate::registration::request::Register;
use crate::registration::{attest, result};

/// The registration that a poll is about, for the device that made it. The certificate
/// that it registered with is proof enough: the handshake shows that the same device asks.
/// A device with another certificate has to prove itself as if it registered, and so has
/// one whose enrollment was disabled.
///
/// Fails when the device is refused, or the store fails.
pub async fn poll(
    request: Register<'_>,
    context: &Context,
    now: Timestamp,
) -> Result<Option<RegistrationRecord>, NotProven> {
    let claim = claim::read(&request)?;
    let record = context.provisioning.registration(request.registration_id);
    match record.await? {
        Some(record) if is_registered_with(&record, &claim) => Ok(Some(record)),
        _ => read_proven(claim, context, now).await,
    }
}

/// The registration of a device that proves itself anew.
///
/// Fails when the device is refused, or the store fails.
pub async fn look_up(
    request: Register<'_>,
    context: &Context,
    now: Timestamp,
) -> Result<Option<RegistrationRecord>, NotProven> {
    read_proven(claim::read(&request)?, context, now).await
}

async fn read_proven(
    claim: ClaimedDevice<'_>,
    context: &Context,
    now: Timestamp,
) -> Result<Option<RegistrationRecord>, NotProven> {
    let (provisioning, id) = (&context.provisioning, claim.registration_id());
    let found = candidates::find(&claim, Source::Store, provisioning, &context.groups).await?;
    attest::prove(claim, found.candidates, context.verifiers(), now, &mut ())?;
    Ok(provisioning.registration(id).await?)
}

fn is_registered_with(record: &RegistrationRecord, claim: &ClaimedDevice<'_>) -> bool {
    let Evidence::Certificate(chain) = claim.evidence() else {
        return false;
    };
    if matches!(record.state, RegistrationState::Disabled { .. }) {
        return false;
    }
    let x509 = result::detail(record).x509;
    let info = x509.and_then(|x509| x509.certificate_info);
    info.is_some_and(|info| info.sha256_thumbprint == chain.leaf().sha256().to_string())
}
