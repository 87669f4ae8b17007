//! Cloud-to-device messages of back ends: sent to a device or module, and purged.

use axum::http::header::CONTENT_TYPE;
use ids::{DeviceId, Identity, ModuleId};
use registry::{MessageDraft, Right};
use rest::{Reply, delete, post};
use wire::cloud_message::{Addressee, NO_ADDRESSEE, PurgeResult, SEND_PATH, SendRequest};
use wire::telemetry::{BATCH, parse_batch};

use super::access::Access;
use super::{Call, Route, acting};
use crate::error::HubError;

/// A message of 64 KB in base64, with its properties.
const MAX_BODY: usize = 256 * 1024;

pub(super) fn routes() -> Vec<Route> {
    let sends = Access::AnyOf(&[Right::ServiceConnect]);
    vec![
        post(SEND_PATH, sends, |call| send(call, None)).body_limit(MAX_BODY),
        post(
            "/devices/{device}/messages/devicebound",
            sends,
            |call, device: DeviceId| send(call, Some((device, None))),
        )
        .body_limit(MAX_BODY),
        post(
            "/devices/{device}/modules/{module}/messages/devicebound",
            sends,
            |call, device: DeviceId, module: ModuleId| send(call, Some((device, Some(module)))),
        )
        .body_limit(MAX_BODY),
        delete(
            "/devices/{device}/commands",
            sends,
            |call, device: DeviceId| purge(call, device, None),
        ),
        delete(
            "/devices/{device}/modules/{module}/commands",
            sends,
            |call, device: DeviceId, module: ModuleId| purge(call, device, Some(module)),
        ),
    ]
}

/// 204 once the message is durable. The path or the header `iothub-to` names the device or module.
async fn send(call: Call, path: Option<(DeviceId, Option<ModuleId>)>) -> Result<Reply, HubError> {
    let draft = draft(&call)?;
    let path = path.map(|(device, module)| Addressee { device, module });
    let to = match (path, &draft.request.to) {
        (Some(path), Some(to)) if path != *to => {
            let text = "the path and the property 'to' name different devices or modules";
            return Err(HubError::Bad(text.to_owned()));
        }
        (Some(path), _) => path,
        (None, Some(to)) => to.clone(),
        (None, None) => {
            return Err(HubError::Bad(NO_ADDRESSEE.to_owned()));
        }
    };
    let to = identity(&call, to.device, to.module);
    let now = call.service.now();
    let id = acting(&call).send_message(&to, draft, now).await?;
    Ok(Reply::no_content().with_text("iothub-messageid", &id))
}

/// One message: its headers and body, or a batch of one, whose property names keep their case.
fn draft(call: &Call) -> Result<MessageDraft, HubError> {
    let content_type = call.header(CONTENT_TYPE.as_str()).unwrap_or_default();
    let is_batch = content_type
        .get(..BATCH.len())
        .is_some_and(|head| head.eq_ignore_ascii_case(BATCH));
    if !is_batch {
        let headers = call.headers().iter();
        let headers = headers.map(|(name, value)| (name.as_str(), value.as_bytes()));
        return Ok(MessageDraft {
            request: SendRequest::from_headers(headers)?,
            body: call.body.to_vec(),
        });
    }
    let mut messages = parse_batch(&call.body)?.into_iter();
    match (messages.next(), messages.next()) {
        (Some(posted), None) => Ok(MessageDraft {
            request: SendRequest::from_properties(posted.properties)?,
            body: posted.body,
        }),
        _ => Err(HubError::Bad("send one message in a request".to_owned())),
    }
}

async fn purge(call: Call, device: DeviceId, module: Option<ModuleId>) -> Result<Reply, HubError> {
    let of = identity(&call, device.clone(), module.clone());
    let now = call.service.now();
    let total_messages_purged = acting(&call).purge_messages(&of, now).await?;
    tracing::info!(
        hub.name = %of.hub, device.id = %device, messages = total_messages_purged,
        "a queue of cloud-to-device messages was purged"
    );
    Ok(Reply::json(&PurgeResult {
        device_id: device,
        module_id: module,
        total_messages_purged,
    }))
}

fn identity(call: &Call, device: DeviceId, module: Option<ModuleId>) -> Identity {
    Identity {
        hub: call.permit.hub().clone(),
        device,
        module,
    }
}
