//! `/devices/{id}/messages/deviceBound`: devices and modules receive cloud-to-device messages over
//! HTTPS, and complete, reject or abandon them by their lock token.

use std::time::Duration;

use ids::{DeviceId, Etag, Identity, ModuleId};
use registry::{CloudMessage, LockedMessage, MESSAGE_LOCK, Settlement};
use rest::{Reply, delete, get, post};
use wire::cloud_message::{Delivery, LOCK_TIMEOUT};

use super::access::Access;
use super::{Call, Route};
use crate::error::HubError;

/// The longest lock that a receiver may ask for, seconds.
const MAX_LOCK: u64 = 300;
/// Content type of a message that names none.
const ANY_BYTES: &str = "application/octet-stream";

pub(super) fn routes() -> Vec<Route> {
    vec![
        get(
            "/devices/{device}/messages/deviceBound",
            Access::Sender,
            |call, _device: DeviceId| receive(call),
        ),
        delete(
            "/devices/{device}/messages/deviceBound/{lock}",
            Access::Sender,
            |call, _device: DeviceId, lock: Etag| complete_or_reject(call, lock),
        ),
        post(
            "/devices/{device}/messages/deviceBound/{lock}/abandon",
            Access::Sender,
            |call, _device: DeviceId, lock: Etag| apply(call, lock, Settlement::Abandon),
        ),
        get(
            "/devices/{device}/modules/{module}/messages/deviceBound",
            Access::Sender,
            |call, _device: DeviceId, _module: ModuleId| receive(call),
        ),
        delete(
            "/devices/{device}/modules/{module}/messages/deviceBound/{lock}",
            Access::Sender,
            |call, _device: DeviceId, _module: ModuleId, lock: Etag| complete_or_reject(call, lock),
        ),
        post(
            "/devices/{device}/modules/{module}/messages/deviceBound/{lock}/abandon",
            Access::Sender,
            |call, _device: DeviceId, _module: ModuleId, lock: Etag| {
                apply(call, lock, Settlement::Abandon)
            },
        ),
    ]
}

/// The next message with its lock token as ETag; 204 when none waits.
async fn receive(call: Call) -> Result<Reply, HubError> {
    let lock_for = lock_for(&call)?;
    let of = call
        .permit
        .sender()
        .ok_or(HubError::NoCredentials)?
        .identity;
    let now = call.service.now();
    let received = call.service.registry().receive_message(of, lock_for, now);
    match received.await? {
        None => Ok(Reply::no_content()),
        Some(locked) => Ok(message(of, locked)),
    }
}

fn lock_for(call: &Call) -> Result<Duration, HubError> {
    let Some(text) = call.header(LOCK_TIMEOUT) else {
        return Ok(MESSAGE_LOCK);
    };
    match text.trim().parse() {
        Ok(seconds @ 1..=MAX_LOCK) => Ok(Duration::from_secs(seconds)),
        _ => Err(HubError::Bad(format!(
            "the header {LOCK_TIMEOUT} is {text:?}; it is a whole number of seconds from 1 to \
             {MAX_LOCK}"
        ))),
    }
}

fn message(of: &Identity, locked: LockedMessage) -> Reply {
    let LockedMessage {
        message,
        lock_token,
    } = locked;
    let CloudMessage {
        message_id,
        properties,
        body,
        ..
    } = message;
    let delivery = Delivery {
        to: of,
        sequence_number: message.sequence_number,
        message_id: &message_id,
        ack: message.ack,
        enqueued: message.enqueued,
        expires: message.expires,
        deliveries: message.deliveries,
        properties: &properties,
    };
    let headers = delivery.headers();
    let reply = Reply::bytes(ANY_BYTES, body).with_etag(&lock_token);
    let with = |reply: Reply, (name, value): &(String, String)| reply.with_text(name, value);
    headers.iter().fold(reply, with)
}

/// `?reject` in any form means that the message is rejected.
async fn complete_or_reject(call: Call, lock: Etag) -> Result<Reply, HubError> {
    let settlement = match call.query("reject") {
        Some(_) => Settlement::Reject,
        None => Settlement::Complete,
    };
    apply(call, lock, settlement).await
}

async fn apply(call: Call, lock: Etag, settlement: Settlement) -> Result<Reply, HubError> {
    let of = call
        .permit
        .sender()
        .ok_or(HubError::NoCredentials)?
        .identity;
    let (registry, now) = (call.service.registry(), call.service.now());
    registry.settle_message(of, &lock, settlement, now).await?;
    Ok(Reply::no_content())
}
