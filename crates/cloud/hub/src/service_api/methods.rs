//! `POST /twins/{id}/methods`: direct methods of devices and modules.

use ids::{DeviceId, ModuleId};
use registry::Right;
use rest::{Reply, post};
use wire::service_api::method::MethodRequest;

use super::access::Access;
use super::{Call, Route, twins};
use crate::error::HubError;
use crate::messages::method;

pub(super) fn routes() -> Vec<Route> {
    let access = Access::AnyOf(&[Right::ServiceConnect]);
    vec![
        post("/twins/{device}/methods", access, |call, device| {
            invoke(call, device, None)
        }),
        post(
            "/twins/{device}/modules/{module}/methods",
            access,
            |call, device, module| invoke(call, device, Some(module)),
        ),
    ]
}

async fn invoke(call: Call, device: DeviceId, module: Option<ModuleId>) -> Result<Reply, HubError> {
    let hub = call.permit.hub();
    call.service.count_method(hub, call.body.len())?;
    let request = MethodRequest::parse(&call.body)?;
    let identity = twins::identity(&call, device, module);
    let response = method::invoke(&call.service, &identity, &request).await?;
    Ok(Reply::json(&response))
}
