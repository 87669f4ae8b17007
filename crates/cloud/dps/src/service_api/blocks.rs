//! Muster's own API that shuts a device out everywhere at once.

use axum::http::StatusCode;
use ids::RegistrationId;
use provisioning::{Block, BlockError, Provisioning};
use registry::Right;
use wire::muster_api::explain::{BlockDocument, BlockRequest, BlockState, BlockedAt};
use wire::service_api::enrollment::MAX_BODY;

use crate::error::ServiceFault;
use crate::http::route::Blocked;
use crate::http::{Incoming, Reply};
use crate::remote_hub::outbox;
use crate::service::Dps;
use crate::service_api::access::authorize;
use crate::service_api::linked_hubs::judged::ServingFault;

/// Longest reason, characters, as with a hub device's `statusReason`.
const MAX_REASON: usize = 128;

pub(crate) async fn put(
    dps: &Dps,
    request: Incoming<'_>,
    whom: Blocked,
) -> Result<Reply, ServiceFault> {
    authorize(dps, &request, Right::EnrollmentWrite)?;
    let operator = authorize(dps, &request, Right::RegistrationStatusWrite)?;
    let body = request.read(MAX_BODY).await?;
    let asked = match body.is_empty() {
        true => BlockRequest::default(),
        false => wire::muster_api::serving::parse(&body).map_err(ServingFault::from)?,
    };
    let reason = asked
        .reason
        .map(|reason| reason.chars().take(MAX_REASON).collect());
    let id = registration(operator.registry(), whom)?;
    let blocked = operator.registry().block(&id, reason, operator.now());
    let blocked = blocked.await.map_err(fault)?;
    let document = BlockDocument {
        hubs: hubs(dps, &blocked).await?,
        registration_id: blocked.registration_id,
        reason: blocked.reason,
        since_date_time_utc: blocked.since,
        device_id: match (blocked.device, blocked.remote) {
            (Some(here), _) => Some(here.device),
            (None, remote) => remote.map(|(_, device)| device),
        },
    };
    Ok(Reply::json(StatusCode::OK, &document))
}

pub(crate) async fn delete(
    dps: &Dps,
    request: Incoming<'_>,
    whom: Blocked,
) -> Result<Reply, ServiceFault> {
    authorize(dps, &request, Right::EnrollmentWrite)?;
    let operator = authorize(dps, &request, Right::RegistrationStatusWrite)?;
    request.read(MAX_BODY).await?;
    let id = registration(operator.registry(), whom)?;
    let unblocked = operator.registry().unblock(&id, operator.now());
    unblocked.await.map_err(fault)?;
    dps.wake_remote_tasks();
    Ok(Reply::no_content())
}

/// How far the block has come where the device is. A remote hub is asked once before the operator is answered, and then until it has
/// done it.
async fn hubs(dps: &Dps, block: &Block) -> Result<Vec<BlockedAt>, ServiceFault> {
    if let Some((hub, device)) = &block.remote {
        let problem = outbox::run_now(dps, hub, device).await?;
        dps.wake_remote_tasks();
        return Ok(vec![BlockedAt {
            hub: hub.clone(),
            state: match problem {
                None => BlockState::Done,
                Some(_) => BlockState::Pending,
            },
            problem,
        }]);
    }
    let here = block.device.iter();
    let done = here.map(|device| BlockedAt {
        hub: device.hub.clone(),
        state: BlockState::Done,
        problem: None,
    });
    Ok(done.collect())
}

fn registration(registry: &Provisioning, whom: Blocked) -> Result<RegistrationId, ServiceFault> {
    match whom {
        Blocked::Registration(id) => Ok(id),
        Blocked::Device { hub, device } => registry.registration_of(&hub, &device).map_err(fault),
    }
}

fn fault(error: BlockError) -> ServiceFault {
    match error {
        BlockError::Storage(error) => ServiceFault::Storage(error),
        other => ServiceFault::Block(other),
    }
}
