//! The operations on `/twins/{id}` and `/twins/{id}/modules/{module}`.

use ids::{DeviceId, Identity, ModuleId};
use registry::{Right, TwinPatch, TwinRecord, TwinReplacement};
use rest::{Reply, get, patch, put};
use wire::twin::TwinChange;

use super::access::Access;
use super::{Call, Route, acting, json};
use crate::error::HubError;
use crate::twin_view;

pub(super) fn routes() -> Vec<Route> {
    const DEVICE: &str = "/twins/{device}";
    const MODULE: &str = "/twins/{device}/modules/{module}";
    let access = Access::AnyOf(&[Right::ServiceConnect]);
    vec![
        get(DEVICE, access, |call, device| read(call, device, None)),
        get(MODULE, access, |call, device, module| {
            read(call, device, Some(module))
        }),
        patch(DEVICE, access, |call, device| merge(call, device, None)),
        patch(MODULE, access, |call, device, module| {
            merge(call, device, Some(module))
        }),
        put(DEVICE, access, |call, device| replace(call, device, None)),
        put(MODULE, access, |call, device, module| {
            replace(call, device, Some(module))
        }),
    ]
}

/// The device or module of a path.
pub(super) fn identity(call: &Call, device: DeviceId, module: Option<ModuleId>) -> Identity {
    Identity {
        hub: call.permit.hub().clone(),
        device,
        module,
    }
}

async fn read(call: Call, device: DeviceId, module: Option<ModuleId>) -> Result<Reply, HubError> {
    let identity = identity(&call, device, module);
    let record = call.service.registry().twin(&identity).await?;
    reply(&call, record).await
}

/// Merges the change into the twin; `null` deletes a member.
async fn merge(call: Call, device: DeviceId, module: Option<ModuleId>) -> Result<Reply, HubError> {
    let change = TwinChange::parse(&json(&call)?)?;
    let patch = TwinPatch {
        tags: change.tags,
        desired: change.desired,
    };
    let (identity, now) = (identity(&call, device, module), call.service.now());
    let if_match = call.if_match()?.into();
    let written = acting(&call)
        .patch_twin(&identity, patch, &if_match, now)
        .await?;
    reply(&call, written).await
}

/// Replaces tags and desired properties; what is absent in the body is removed.
async fn replace(
    call: Call,
    device: DeviceId,
    module: Option<ModuleId>,
) -> Result<Reply, HubError> {
    let change = TwinChange::parse(&json(&call)?)?;
    let replacement = TwinReplacement {
        tags: Some(change.tags.unwrap_or_default()),
        desired: Some(change.desired.unwrap_or_default()),
    };
    let (identity, now) = (identity(&call, device, module), call.service.now());
    let if_match = call.if_match()?.into();
    let written = acting(&call)
        .replace_twin(&identity, replacement, &if_match, now)
        .await?;
    reply(&call, written).await
}

async fn reply(call: &Call, record: TwinRecord) -> Result<Reply, HubError> {
    let hub = call.permit.hub();
    let known = call
        .service
        .connection_view(twin_view::identity(&record, hub));
    let twin = twin_view::twin(record, hub, known.await?.into());
    Ok(Reply::json(&twin).with_etag(&twin.etag))
}
