//! What Azure's hub has at these paths and this one does not yet: answered in words, not
//! as an unknown path.

use ids::DeviceId;
use registry::Right;
use rest::{Reply, any, delete, get, post};

use super::access::Access;
use super::{Call, Route};
use crate::error::HubError;

pub(super) fn routes() -> Vec<Route> {
    use Right::{RegistryRead, RegistryWrite, ServiceConnect};
    let operator = Access::AnyOf(&[ServiceConnect, RegistryRead, RegistryWrite]);
    let of_device = |path| {
        any(path, Access::Sender, |_call, _device: DeviceId| {
            refuse("file uploads")
        })
    };
    let of_operator = |path, what: &'static str| any(path, operator, move |_call| refuse(what));
    vec![
        of_operator(
            "/messages/serviceBound/**",
            "cloud-to-device messages and notifications",
        ),
        of_operator("/jobs/**", "import and export jobs"),
        of_device("/devices/{device}/files"),
        of_device("/devices/{device}/files/notifications"),
        of_device("/devices/{device}/files/notifications/{notification}"),
        get(
            "/devices/{device}/messages/deviceBound",
            Access::Sender,
            next_message,
        ),
        delete(
            "/devices/{device}/messages/deviceBound/{lock}",
            Access::Sender,
            settle_message,
        ),
        post(
            "/devices/{device}/messages/deviceBound/{lock}/abandon",
            Access::Sender,
            settle_message,
        ),
    ]
}

async fn refuse(what: &'static str) -> Result<Reply, HubError> {
    Err(HubError::NotOffered(what))
}

/// There are no cloud-to-device messages yet, so none waits.
async fn next_message(_call: Call, _device: DeviceId) -> Result<Reply, HubError> {
    Ok(Reply::no_content())
}

/// No message was handed out, so none is locked.
async fn settle_message(_call: Call, _device: DeviceId) -> Result<Reply, HubError> {
    Err(HubError::NoMessage)
}
