//! `/muster/v1/dps/blocks`: shuts a device out everywhere at once, and lets it in again.

use ids::{DeviceId, HubName, RegistrationId};
use provisioning::{Block, BlockError};
use registry::Right;
use rest::{Reply, delete, put};
use wire::error::DpsErrorCode;
use wire::muster_api::block::{BlockDocument, BlockRequest, BlockState, BlockedAt};

use super::access::Access;
use super::{Call, Route, now, own_json, provisioning};
use crate::error::{NounError, ServiceFault};
use crate::remote_hub::outbox;

/// Longest reason, characters, as with a hub device's `statusReason`.
const MAX_REASON: usize = 128;

pub(super) fn routes() -> Vec<Route> {
    const REGISTRATION: &str = "/muster/v1/dps/blocks/{registration}";
    const DEVICE: &str = "/muster/v1/dps/blocks/{hub}/devices/{device}";
    let access = Access::AllOf(&[Right::EnrollmentWrite, Right::RegistrationStatusWrite]);
    vec![
        put(REGISTRATION, access, block),
        delete(REGISTRATION, access, unblock),
        put(
            DEVICE,
            access,
            async |call, hub: HubName, device: DeviceId| {
                let id = registration_of(&call, &hub, &device)?;
                block(call, id).await
            },
        ),
        delete(
            DEVICE,
            access,
            async |call, hub: HubName, device: DeviceId| {
                let id = registration_of(&call, &hub, &device)?;
                unblock(call, id).await
            },
        ),
    ]
}

fn registration_of(
    call: &Call,
    hub: &HubName,
    device: &DeviceId,
) -> Result<RegistrationId, BlockError> {
    provisioning(call).registration_of(hub, device)
}

async fn block(call: Call, id: RegistrationId) -> Result<Reply, ServiceFault> {
    let asked = match call.body.is_empty() {
        true => BlockRequest::default(),
        false => own_json(&call)?,
    };
    let shortened = |reason: String| reason.chars().take(MAX_REASON).collect();
    let reason = asked.reason.map(shortened);
    let blocked = provisioning(&call).block(&id, reason, now(&call)).await?;
    let hubs = carry_out(&call, &blocked).await?;
    Ok(Reply::json(&BlockDocument {
        hubs,
        registration_id: blocked.registration_id,
        reason: blocked.reason,
        since_date_time_utc: blocked.since,
        device_id: match (blocked.device, blocked.remote) {
            (Some(here), _) => Some(here.device),
            (None, remote) => remote.map(|(_, device)| device),
        },
    }))
}

async fn unblock(call: Call, id: RegistrationId) -> Result<Reply, ServiceFault> {
    provisioning(&call).unblock(&id, now(&call)).await?;
    call.service.wake_remote_tasks();
    Ok(Reply::no_content())
}

/// How far the block has come at the hub of the device. A remote hub is asked once before the
/// operator is answered, and then until it has done it.
async fn carry_out(call: &Call, block: &Block) -> Result<Vec<BlockedAt>, ServiceFault> {
    if let Some((hub, device)) = &block.remote {
        let problem = outbox::run_now(&call.service, hub, device).await?;
        call.service.wake_remote_tasks();
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

impl NounError for BlockError {
    fn code(&self) -> DpsErrorCode {
        match self {
            Self::Blocked(_) => DpsErrorCode::RegistrationStatusConflict,
            Self::NotBlocked(_) | Self::NoRegistration { .. } => {
                DpsErrorCode::DeviceRegistrationNotFound
            }
            Self::Storage(_) => DpsErrorCode::InternalServerError,
        }
    }
}
