//! `/messages/serviceBound/feedback` and `…/filenotifications`: back ends read the outcomes of their
//! cloud-to-device messages, and which files devices have uploaded.

use ids::Etag;
use registry::{NotificationBatch, NotificationKind, Right, Settlement};
use rest::{Reply, delete, get, post};
use wire::cloud_message::FEEDBACK;
use wire::file_upload::FILE_NOTIFICATION;

use super::access::Access;
use super::{Call, Route};
use crate::error::HubError;

const READS: Access = Access::AnyOf(&[Right::ServiceConnect]);

pub(super) fn routes() -> Vec<Route> {
    use NotificationKind::{Feedback, File};
    use Settlement::{Abandon, Complete};
    let feedback = "/messages/serviceBound/feedback";
    let files = "/messages/serviceBound/filenotifications";
    vec![
        get(feedback, READS, |call| receive(call, Feedback)),
        get(files, READS, |call| receive(call, File)),
        delete(
            "/messages/serviceBound/feedback/{lock}",
            READS,
            |call, lock: Etag| apply(call, (Feedback, lock), Complete),
        ),
        delete(
            "/messages/serviceBound/filenotifications/{lock}",
            READS,
            |call, lock: Etag| apply(call, (File, lock), Complete),
        ),
        post(
            "/messages/serviceBound/feedback/{lock}/abandon",
            READS,
            |call, lock: Etag| apply(call, (Feedback, lock), Abandon),
        ),
        post(
            "/messages/serviceBound/filenotifications/{lock}/abandon",
            READS,
            |call, lock: Etag| apply(call, (File, lock), Abandon),
        ),
    ]
}

/// The next batch with its lock token as ETag; 204 when none is ready.
async fn receive(call: Call, kind: NotificationKind) -> Result<Reply, HubError> {
    let hub = call.permit.hub();
    let (registry, now) = (call.service.registry(), call.service.now());
    let Some(batch) = registry.receive_notifications(hub, kind, now).await? else {
        return Ok(Reply::no_content());
    };
    let records = batch.records.join(",");
    let reply = match kind {
        NotificationKind::Feedback => Reply::bytes(FEEDBACK, format!("[{records}]")),
        // A batch of files has one.
        NotificationKind::File => Reply::bytes(FILE_NOTIFICATION, records),
    };
    Ok(with_headers(reply, &batch).with("iothub-userid", hub.as_str()))
}

fn with_headers(reply: Reply, batch: &NotificationBatch) -> Reply {
    reply
        .with_etag(&batch.lock_token)
        .with("iothub-sequencenumber", &batch.sequence_number.to_string())
        .with("iothub-enqueuedtime", &batch.created.to_string())
        .with("iothub-deliverycount", &batch.deliveries.to_string())
}

async fn apply(
    call: Call,
    (kind, lock): (NotificationKind, Etag),
    settlement: Settlement,
) -> Result<Reply, HubError> {
    let of = (call.permit.hub(), kind);
    let (registry, now) = (call.service.registry(), call.service.now());
    let applied = registry.settle_notifications(of, &lock, settlement, now);
    applied.await?;
    Ok(Reply::no_content())
}
