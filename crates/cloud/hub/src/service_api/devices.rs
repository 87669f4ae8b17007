//! `/devices`, `/devices/{id}` and `/statistics`: device identities.

use ids::{DeviceId, Identity};
use registry::{DeviceRecord, Right};
use rest::{Reply, delete, get, put};
use serde_json::Value;
use wire::service_api::identity::{Capabilities, Device, DeviceRequest, ServiceStatistics};

use super::access::Access;
use super::{Call, Route, acting, json, require_same, top};
use crate::error::HubError;
use crate::sessions::presence::ConnectionView;
use crate::twin_view::connection_state;

pub(super) fn routes() -> Vec<Route> {
    use Right::{RegistryRead, RegistryWrite, ServiceConnect};
    let (reads, writes) = (
        Access::AnyOf(&[RegistryRead]),
        Access::AnyOf(&[RegistryWrite]),
    );
    vec![
        get("/devices", reads, list),
        get("/devices/{device}", reads, read),
        put("/devices/{device}", writes, write),
        delete("/devices/{device}", writes, remove),
        get("/statistics/devices", reads, statistics),
        get(
            "/statistics/service",
            Access::AnyOf(&[ServiceConnect, RegistryRead]),
            connected,
        ),
    ]
}

async fn list(call: Call) -> Result<Reply, HubError> {
    let (hub, name) = (&call.service, call.permit.hub());
    let page = hub.registry().list_devices(name, &top(&call)).await?;
    let keys = call.permit.shows_keys();
    let identity = |record: &DeviceRecord| Identity::device(name.clone(), record.device_id.clone());
    let known = hub
        .connection_views(page.items.iter().map(identity).collect())
        .await?;
    let rows = page.items.into_iter().zip(known);
    let rows = rows.map(|(record, known)| describe(record, &known).to_json(keys));
    Ok(Reply::json(&rows.collect::<Vec<Value>>()))
}

async fn read(call: Call, device: DeviceId) -> Result<Reply, HubError> {
    let found = call.service.registry().device(call.permit.hub(), &device);
    let record = found.await?;
    reply(&call, record).await
}

/// Creates, or replaces what is writable.
async fn write(call: Call, device: DeviceId) -> Result<Reply, HubError> {
    let request = DeviceRequest::parse(&json(&call)?)?;
    let named = request.device_id.as_ref().map(DeviceId::as_str);
    require_same("deviceId", device.as_str(), named)?;
    let (hub, if_match, now) = (
        call.permit.hub(),
        call.if_match()?.into(),
        call.service.now(),
    );
    let (record, created) = acting(&call)
        .put_device(hub, &device, request, &if_match, now)
        .await?;
    tracing::info!(hub.name = %hub, device.id = %device, created, "device written");
    reply(&call, record).await
}

async fn remove(call: Call, device: DeviceId) -> Result<Reply, HubError> {
    let (hub, if_match) = (call.permit.hub(), call.if_match()?.into());
    acting(&call).delete_device(hub, &device, &if_match).await?;
    tracing::info!(hub.name = %hub, device.id = %device, "device deleted");
    Ok(Reply::no_content())
}

async fn statistics(call: Call) -> Result<Reply, HubError> {
    let counted = call.service.registry().statistics(call.permit.hub())?;
    Ok(Reply::json(&counted))
}

async fn connected(call: Call) -> Result<Reply, HubError> {
    let count = call.service.sessions().connected(call.permit.hub());
    Ok(Reply::json(&ServiceStatistics {
        connected_device_count: count,
    }))
}

async fn reply(call: &Call, record: DeviceRecord) -> Result<Reply, HubError> {
    let identity = Identity::device(call.permit.hub().clone(), record.device_id.clone());
    let device = describe(record, &call.service.connection_view(identity).await?);
    Ok(Reply::json(&device.to_json(call.permit.shows_keys())).with_etag(&device.etag))
}

fn describe(record: DeviceRecord, known: &ConnectionView) -> Device {
    let presence = known.presence;
    Device {
        device_id: record.device_id,
        generation_id: record.generation_id,
        etag: record.etag,
        connection_state: connection_state(presence.connected),
        connection_state_updated_time: presence.updated,
        last_activity_time: presence.last_activity,
        status: record.status,
        status_reason: record.status_reason,
        status_updated_time: record.status_updated,
        cloud_to_device_message_count: known.messages,
        authentication: record.authentication,
        capabilities: Capabilities {
            iot_edge: record.iot_edge,
        },
        device_scope: record.device_scope,
        parent_scopes: record.parent_scopes,
    }
}
