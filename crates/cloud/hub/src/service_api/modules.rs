//! `/devices/{id}/modules`: module identities, for operators and for a device's own daemon.

use ids::{DeviceId, Identity, ModuleId};
use registry::{IdentityError, ModuleRecord, Right};
use rest::{Reply, delete, get, put};
use serde_json::Value;
use wire::service_api::identity::{Module, ModuleRequest};

use super::access::Access;
use super::{Call, Route, acting, json, require_same};
use crate::error::HubError;
use crate::sessions::presence::ConnectionView;
use crate::twin_view::connection_state;

pub(super) fn routes() -> Vec<Route> {
    let reads = Access::AnyOfOrDevice(&[Right::RegistryRead]);
    let writes = Access::AnyOfOrDevice(&[Right::RegistryWrite]);
    vec![
        get("/devices/{device}/modules", reads, list),
        get("/devices/{device}/modules/{module}", reads, read),
        put("/devices/{device}/modules/{module}", writes, write),
        delete("/devices/{device}/modules/{module}", writes, remove),
    ]
}

async fn list(call: Call, device: DeviceId) -> Result<Reply, HubError> {
    let (hub, name) = (&call.service, call.permit.hub());
    let records = hub.registry().list_modules(name, &device).await?;
    let identities = records.iter().map(|record| identity(&call, record));
    let known = hub.connection_views(identities.collect()).await?;
    let rows = records.into_iter().zip(known);
    let rows = rows.map(|(record, known)| to_json(&call, &describe(record, &known)));
    Ok(Reply::json(&rows.collect::<Vec<Value>>()))
}

async fn read(call: Call, device: DeviceId, module: ModuleId) -> Result<Reply, HubError> {
    let (registry, hub) = (call.service.registry(), call.permit.hub());
    match registry.module(hub, &device, &module).await {
        Ok(record) => reply(&call, record).await,
        Err(missing @ IdentityError::ModuleNotFound(..)) if module.is_system() => {
            let plain = registry.device(hub, &device).await;
            Err(match plain.is_ok_and(|device| !device.iot_edge) {
                true => HubError::NotEdge { device, module },
                false => missing.into(),
            })
        }
        Err(error) => Err(error.into()),
    }
}

/// Always 200, also when created: device daemons refuse 201.
async fn write(call: Call, device: DeviceId, module: ModuleId) -> Result<Reply, HubError> {
    let request = ModuleRequest::parse(&json(&call)?)?;
    let named = request.device_id.as_ref().map(DeviceId::as_str);
    require_same("deviceId", device.as_str(), named)?;
    let named = request.module_id.as_ref().map(ModuleId::as_str);
    require_same("moduleId", module.as_str(), named)?;
    let (hub, if_match, now) = (
        call.permit.hub(),
        call.if_match()?.into(),
        call.service.now(),
    );
    let (record, created) = acting(&call)
        .put_module(hub, &device, &module, request, &if_match, now)
        .await?;
    tracing::info!(
        hub.name = %hub, device.id = %device, module.id = %module, created, "module written"
    );
    reply(&call, record).await
}

async fn remove(call: Call, device: DeviceId, module: ModuleId) -> Result<Reply, HubError> {
    let (hub, if_match) = (call.permit.hub(), call.if_match()?.into());
    acting(&call)
        .delete_module(hub, &device, &module, &if_match)
        .await?;
    tracing::info!(hub.name = %hub, device.id = %device, module.id = %module, "module deleted");
    Ok(Reply::no_content())
}

async fn reply(call: &Call, record: ModuleRecord) -> Result<Reply, HubError> {
    let known = call
        .service
        .connection_view(identity(call, &record))
        .await?;
    let module = describe(record, &known);
    Ok(Reply::json(&to_json(call, &module)).with_etag(&module.etag))
}

fn identity(call: &Call, record: &ModuleRecord) -> Identity {
    Identity::module(
        call.permit.hub().clone(),
        record.device_id.clone(),
        record.module_id.clone(),
    )
}

/// A device's daemon understands fewer authentication types than operators do.
fn to_json(call: &Call, module: &Module) -> Value {
    match call.permit.sender().map(|sender| sender.identity) {
        Some(_) => module.to_daemon_json(),
        None => module.to_json(call.permit.shows_keys()),
    }
}

fn describe(record: ModuleRecord, known: &ConnectionView) -> Module {
    let presence = known.presence;
    Module {
        module_id: record.module_id,
        managed_by: record.managed_by,
        device_id: record.device_id,
        generation_id: record.generation_id,
        etag: record.etag,
        connection_state: connection_state(presence.connected),
        connection_state_updated_time: presence.updated,
        last_activity_time: presence.last_activity,
        cloud_to_device_message_count: known.messages,
        authentication: record.authentication,
    }
}
