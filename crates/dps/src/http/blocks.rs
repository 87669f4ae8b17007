//! Muster's own API that shuts a device out everywhere at once.

use axum::http::StatusCode;
use ids::RegistrationId;
use registry::{BlockError, Right};
use wire::enrollment::MAX_BODY;
use wire::verdict::{BlockDocument, BlockRequest};

use super::authorize::authorize;
use super::{Incoming, Reply};
use crate::Dps;
use crate::error::ServiceFault;
use crate::serving::ServingFault;

/// Longest reason, characters, as with a hub device's `statusReason`.
const MAX_REASON: usize = 128;

pub(super) async fn put(
    dps: &Dps,
    request: Incoming<'_>,
    id: RegistrationId,
) -> Result<Reply, ServiceFault> {
    authorize(dps, &request, Right::EnrollmentWrite)?;
    let operator = authorize(dps, &request, Right::RegistrationStatusWrite)?;
    let body = request.read(MAX_BODY).await?;
    let asked = match body.is_empty() {
        true => BlockRequest::default(),
        false => wire::serving::parse(&body).map_err(ServingFault::from)?,
    };
    let reason = asked
        .reason
        .map(|reason| reason.chars().take(MAX_REASON).collect());
    let blocked = operator.registry().block(&id, reason, operator.now());
    let blocked = blocked.await.map_err(fault)?;
    let document = BlockDocument {
        registration_id: blocked.registration_id,
        reason: blocked.reason,
        since_date_time_utc: blocked.since,
        device_id: blocked.device.map(|identity| identity.device),
    };
    Ok(Reply::json(StatusCode::OK, &document))
}

pub(super) async fn delete(
    dps: &Dps,
    request: Incoming<'_>,
    id: RegistrationId,
) -> Result<Reply, ServiceFault> {
    authorize(dps, &request, Right::EnrollmentWrite)?;
    let operator = authorize(dps, &request, Right::RegistrationStatusWrite)?;
    request.read(MAX_BODY).await?;
    let unblocked = operator.registry().unblock(&id, operator.now());
    unblocked.await.map_err(fault)?;
    Ok(Reply::no_content())
}

fn fault(error: BlockError) -> ServiceFault {
    match error {
        BlockError::Storage(error) => ServiceFault::Storage(error),
        other => ServiceFault::Block(other),
    }
}
