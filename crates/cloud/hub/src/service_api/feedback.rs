//! `/messages/serviceBound/feedback`: back ends read the outcomes of their cloud-to-device messages.

use ids::Etag;
use registry::{NotificationBatch, NotificationKind, Right, Settlement};
use rest::{Reply, delete, get, post};
use wire::cloud_message::FEEDBACK;

use super::access::Access;
use super::{Call, Route};
use crate::error::HubError;

pub(super) fn routes() -> Vec<Route> {
    let reads = Access::AnyOf(&[Right::ServiceConnect]);
    vec![
        get("/messages/serviceBound/feedback", reads, receive),
        delete(
            "/messages/serviceBound/feedback/{lock}",
            reads,
            |call, lock: Etag| apply(call, lock, Settlement::Complete),
        ),
        post(
            "/messages/serviceBound/feedback/{lock}/abandon",
            reads,
            |call, lock: Etag| apply(call, lock, Settlement::Abandon),
        ),
    ]
}

/// The next batch with its lock token as ETag; 204 when none is ready.
async fn receive(call: Call) -> Result<Reply, HubError> {
    let hub = call.permit.hub();
    let (registry, now) = (call.service.registry(), call.service.now());
    let kind = NotificationKind::Feedback;
    match registry.receive_notifications(hub, kind, now).await? {
        None => Ok(Reply::no_content()),
        Some(batch) => {
            let body = format!("[{}]", batch.records.join(","));
            let reply = Reply::bytes(FEEDBACK, body);
            Ok(with_headers(reply, &batch).with("iothub-userid", hub.as_str()))
        }
    }
}

fn with_headers(reply: Reply, batch: &NotificationBatch) -> Reply {
    reply
        .with_etag(&batch.lock_token)
        .with("iothub-sequencenumber", &batch.sequence_number.to_string())
        .with("iothub-enqueuedtime", &batch.created.to_string())
        .with("iothub-deliverycount", &batch.deliveries.to_string())
}

async fn apply(call: Call, lock: Etag, settlement: Settlement) -> Result<Reply, HubError> {
    let of = (call.permit.hub(), NotificationKind::Feedback);
    let (registry, now) = (call.service.registry(), call.service.now());
    let applied = registry.settle_notifications(of, &lock, settlement, now);
    applied.await?;
    Ok(Reply::no_content())
}
