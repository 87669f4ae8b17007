//! `/devices`, `/devices/{id}/modules`, `/statistics`: identities, for operators and for a device's own daemon.

use ids::{DeviceId, Identity, ModuleId};
use registry::{DeviceRecord, IdentityError, ModuleRecord};
use serde_json::Value;
use wire::service_api::identity::{DeviceRequest, Module, ModuleRequest, ServiceStatistics};

use crate::error::HubError;
use crate::view;

use super::Call;
use super::answer::Answer;

pub(super) async fn list_devices(call: &Call) -> Result<Answer, HubError> {
    let page = call
        .hub
        .registry()
        .list_devices(&call.name, &call.top())
        .await?;
    let keys = call.permit.shows_keys();
    let identity =
        |record: &DeviceRecord| Identity::device(call.name.clone(), record.device_id.clone());
    let known = call.hub.shown(page.items.iter().map(identity).collect());
    let shown = page.items.iter().cloned().zip(known.await?);
    let shown = shown.map(|(record, known)| view::device(record, &known).to_json(keys));
    Ok(Answer::json(Value::Array(shown.collect())))
}

pub(super) async fn get_device(call: &Call, device: &DeviceId) -> Result<Answer, HubError> {
    let record = call.hub.registry().device(&call.name, device).await?;
    device_answer(call, record).await
}

pub(super) async fn put_device(call: &Call, device: &DeviceId) -> Result<Answer, HubError> {
    let request = DeviceRequest::parse(&call.json()?)?;
    require_same(
        "deviceId",
        device.as_str(),
        request.device_id.as_ref().map(DeviceId::as_str),
    )?;
    let if_match = call.if_match()?;
    let (record, created) = call
        .acting()
        .put_device(&call.name, device, request, &if_match, call.hub.now())
        .await?;
    tracing::info!(hub.name = %call.name, device.id = %device, created, "device written");
    device_answer(call, record).await
}

pub(super) async fn delete_device(call: &Call, device: &DeviceId) -> Result<Answer, HubError> {
    call.acting()
        .delete_device(&call.name, device, &call.if_match()?)
        .await?;
    tracing::info!(hub.name = %call.name, device.id = %device, "device deleted");
    Ok(Answer::empty())
}

/// Purges a device's cloud-to-device messages, of which there are none yet.
pub(super) async fn purge(call: &Call, device: &DeviceId) -> Result<Answer, HubError> {
    call.hub.registry().device(&call.name, device).await?;
    Ok(Answer::json(serde_json::json!({
        "deviceId": device,
        "moduleId": null,
        "totalMessagesPurged": 0,
    })))
}

async fn device_answer(call: &Call, record: DeviceRecord) -> Result<Answer, HubError> {
    let identity = Identity::device(call.name.clone(), record.device_id.clone());
    let shown = view::device(record, &call.hub.shown_of(identity).await?);
    Ok(Answer::json(shown.to_json(call.permit.shows_keys())).version(&shown.etag))
}

fn of_module(call: &Call, record: &ModuleRecord) -> Identity {
    Identity::module(
        call.name.clone(),
        record.device_id.clone(),
        record.module_id.clone(),
    )
}

pub(super) async fn list_modules(call: &Call, device: &DeviceId) -> Result<Answer, HubError> {
    let records = call.hub.registry().list_modules(&call.name, device).await?;
    let identities = records.iter().map(|record| of_module(call, record));
    let known = call.hub.shown(identities.collect()).await?;
    let shown = records
        .into_iter()
        .zip(known)
        .map(|(record, known)| module_json(call, &view::module(record, &known)));
    Ok(Answer::json(Value::Array(shown.collect())))
}

pub(super) async fn get_module(
    call: &Call,
    device: &DeviceId,
    module: &ModuleId,
) -> Result<Answer, HubError> {
    let found = call.hub.registry().module(&call.name, device, module).await;
    match found {
        Ok(record) => module_answer(call, record).await,
        Err(missing @ IdentityError::ModuleNotFound(..)) if module.is_system() => {
            let plain = call.hub.registry().device(&call.name, device).await;
            Err(match plain.is_ok_and(|device| !device.iot_edge) {
                true => HubError::NotEdge {
                    device: device.clone(),
                    module: module.clone(),
                },
                false => missing.into(),
            })
        }
        Err(error) => Err(error.into()),
    }
}

/// Always 200, also when created: device daemons refuse 201.
pub(super) async fn put_module(
    call: &Call,
    device: &DeviceId,
    module: &ModuleId,
) -> Result<Answer, HubError> {
    let request = ModuleRequest::parse(&call.json()?)?;
    require_same(
        "deviceId",
        device.as_str(),
        request.device_id.as_ref().map(DeviceId::as_str),
    )?;
    require_same(
        "moduleId",
        module.as_str(),
        request.module_id.as_ref().map(ModuleId::as_str),
    )?;
    let if_match = call.if_match()?;
    let (record, created) = call
        .acting()
        .put_module(
            &call.name,
            device,
            module,
            request,
            &if_match,
            call.hub.now(),
        )
        .await?;
    tracing::info!(hub.name = %call.name, device.id = %device, module.id = %module, created, "module written");
    module_answer(call, record).await
}

pub(super) async fn delete_module(
    call: &Call,
    device: &DeviceId,
    module: &ModuleId,
) -> Result<Answer, HubError> {
    call.acting()
        .delete_module(&call.name, device, module, &call.if_match()?)
        .await?;
    tracing::info!(hub.name = %call.name, device.id = %device, module.id = %module, "module deleted");
    Ok(Answer::empty())
}

async fn module_answer(call: &Call, record: ModuleRecord) -> Result<Answer, HubError> {
    let known = call.hub.shown_of(of_module(call, &record)).await?;
    let shown = view::module(record, &known);
    Ok(Answer::json(module_json(call, &shown)).version(&shown.etag))
}

/// A device's daemon understands fewer authentication types than operators do.
fn module_json(call: &Call, module: &Module) -> Value {
    match call.permit.identity() {
        Some(_) => module.to_daemon_json(),
        None => module.to_json(call.permit.shows_keys()),
    }
}

pub(super) async fn statistics(call: &Call) -> Result<Answer, HubError> {
    Ok(Answer::of(
        &call.hub.registry().statistics(&call.name).await?,
    ))
}

pub(super) fn connected(call: &Call) -> Answer {
    Answer::of(&ServiceStatistics {
        connected_device_count: call.hub.sessions().connected(&call.name),
    })
}

/// An id in the body must be the one of the path.
fn require_same(member: &str, path: &str, body: Option<&str>) -> Result<(), HubError> {
    match body {
        Some(body) if body != path => Err(HubError::Bad(format!(
            "'{member}' of the body is {body:?}, but the path says {path:?}"
        ))),
        _ => Ok(()),
    }
}
