//! `/digitaltwins/{id}`: properties and commands of Plug and Play devices.

use ids::{DeviceId, Identity};
use registry::{Right, TwinPatch};
use rest::{Reply, get, patch, post};
use serde_json::Value;
use wire::service_api::digital_twin;
use wire::service_api::method::MethodRequest;

use super::access::Access;
use super::{Call, Route, acting, json};
use crate::error::HubError;
use crate::messages::method;
use crate::twin_view;

/// Response header: the status with which the device answered a command.
const COMMAND_STATUS: &str = "x-ms-command-statuscode";

pub(super) fn routes() -> Vec<Route> {
    let access = Access::AnyOf(&[Right::ServiceConnect]);
    vec![
        get("/digitaltwins/{device}", access, read),
        patch("/digitaltwins/{device}", access, change),
        post(
            "/digitaltwins/{device}/commands/{command}",
            access,
            |call, device, command: String| invoke(call, device, command),
        ),
        post(
            "/digitaltwins/{device}/components/{component}/commands/{command}",
            access,
            |call, device, component: String, command: String| {
                invoke(call, device, format!("{component}*{command}"))
            },
        ),
    ]
}

async fn read(call: Call, device: DeviceId) -> Result<Reply, HubError> {
    let identity = Identity::device(call.permit.hub().clone(), device.clone());
    let record = call.service.registry().twin(&identity).await?;
    let known = call.service.connection_view(identity).await?;
    let twin = twin_view::twin(record, call.permit.hub(), known.into());
    let (desired, reported) = (&twin.properties.desired, &twin.properties.reported);
    let document = digital_twin::document(device.as_str(), &twin.model_id, desired, reported);
    Ok(Reply::json(&document).with_etag(&twin.etag))
}

/// Changes desired properties by a JSON patch.
async fn change(call: Call, device: DeviceId) -> Result<Reply, HubError> {
    let desired = digital_twin::desired_patch(&json(&call)?)?;
    let identity = Identity::device(call.permit.hub().clone(), device);
    let patch = TwinPatch {
        tags: None,
        desired: Some(desired),
    };
    let (if_match, now) = (call.if_match()?.into(), call.service.now());
    let written = acting(&call)
        .patch_twin(&identity, patch, &if_match, now)
        .await?;
    let reply = Reply::no_content().with_status(202);
    Ok(reply.with_etag(&written.twin.etag))
}

/// Answers with the payload of the device; its status is in a header.
async fn invoke(call: Call, device: DeviceId, command: String) -> Result<Reply, HubError> {
    let hub = call.permit.hub();
    call.service.count_method(hub, call.body.len())?;
    let seconds = |name| call.query(name);
    let request = MethodRequest::of_command(
        &command,
        &call.body,
        seconds("connectTimeoutInSeconds").as_deref(),
        seconds("responseTimeoutInSeconds").as_deref(),
    )?;
    let identity = Identity::device(call.permit.hub().clone(), device);
    let response = method::invoke(&call.service, &identity, &request).await?;
    let reply = match &response.payload {
        Some(payload) => Reply::json(payload),
        None => Reply::json(&Value::Null),
    };
    Ok(reply.with(COMMAND_STATUS, &response.status.to_string()))
}
