//! A line for each device and module, a page of devices at a time.

use ids::Identity;
use registry::{
    Continuation, DeviceRecord, IdentityError, JobRecord, ModuleRecord, PageRequest,
    TransferCursor, TwinError,
};
use serde_json::{Value, json};
use wire::service_api::identity::{Authentication, Capabilities};

use super::super::run::StepError;
use super::BlobFile;
use super::part::Part;
use crate::service::Hub;
use crate::twin_view;

/// Devices of one page.
const PAGE: usize = 100;

/// Writes the next page; where the job is then.
pub(super) async fn step(
    hub: &Hub,
    job: &JobRecord,
    (exclude_keys, part, mut cursor): (bool, BlobFile, TransferCursor),
) -> Result<TransferCursor, StepError> {
    let registry = hub.registry();
    if cursor.total == 0 {
        cursor.total = registry.statistics(&job.hub)?.total;
    }
    let page = PageRequest {
        after: (!cursor.after.is_empty()).then(|| Continuation::after(&cursor.after)),
        limit: PAGE,
    };
    let page = registry.list_devices(&job.hub, &page).await?;
    let mut part = Part::open(hub, part, cursor.written).await?;
    for device in page.items {
        cursor.read += 1;
        for line in lines(hub, job, device, !exclude_keys).await? {
            part.write(line.as_bytes()).await?;
        }
    }
    cursor.written = part.sync().await?;
    match page.continuation {
        Some(next) => next.key().clone_into(&mut cursor.after),
        None => cursor.complete = true,
    }
    Ok(cursor)
}

/// The lines of a device and its modules; none when it was deleted in between.
async fn lines(
    hub: &Hub,
    job: &JobRecord,
    device: DeviceRecord,
    with_keys: bool,
) -> Result<Vec<String>, StepError> {
    let of_device = Identity::device(job.hub.clone(), device.device_id.clone());
    let mut lines = Vec::new();
    let line = device_line(&device, with_keys);
    lines.extend(with_twin(hub, &of_device, line).await?);
    let modules = hub.registry().list_modules(&job.hub, &device.device_id);
    let modules = match modules.await {
        Ok(modules) => modules,
        Err(IdentityError::Storage(error)) if !error.is_damaged() => return Err(error.into()),
        Err(IdentityError::DeviceNotFound(_)) => Vec::new(),
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                hub.name = %job.hub, device.id = %device.device_id,
                "the modules of a device are left out of an export"
            );
            Vec::new()
        }
    };
    for module in modules {
        let identity = Identity {
            module: Some(module.module_id.clone()),
            ..of_device.clone()
        };
        let line = module_line(&module, with_keys);
        lines.extend(with_twin(hub, &identity, line).await?);
    }
    Ok(lines)
}

/// The line with what its twin adds. A twin that cannot be read stays out; its identity does not.
async fn with_twin(
    hub: &Hub,
    identity: &Identity,
    mut line: Value,
) -> Result<Option<String>, StepError> {
    match hub.registry().twin(identity).await {
        Ok(record) => {
            let twin = record.twin;
            line["twinETag"] = json!(twin.etag);
            line["tags"] = Value::Object(twin.tags);
            line["properties"] = json!({
                "desired": twin_view::section(twin.desired),
                "reported": twin_view::section(twin.reported),
            });
        }
        Err(TwinError::NotFound(_)) => return Ok(None),
        Err(TwinError::Storage(error)) if !error.is_damaged() => return Err(error.into()),
        Err(error) => tracing::warn!(
            error = &error as &dyn std::error::Error,
            hub.name = %identity.hub, device.id = %identity,
            "a twin is left out of an export"
        ),
    }
    Ok(Some(format!("{line}\n")))
}

fn device_line(device: &DeviceRecord, with_keys: bool) -> Value {
    let capabilities = Capabilities {
        iot_edge: device.iot_edge,
    };
    let mut line = json!({
        "id": device.device_id,
        "eTag": device.etag,
        "status": device.status,
        "statusReason": device.status_reason,
        "authentication": authentication(&device.authentication, with_keys),
        "capabilities": capabilities,
    });
    if let Some(scope) = &device.device_scope {
        line["deviceScope"] = json!(scope);
    }
    if !device.parent_scopes.is_empty() {
        line["parentScopes"] = json!(device.parent_scopes);
    }
    line
}

fn module_line(module: &ModuleRecord, with_keys: bool) -> Value {
    let mut line = json!({
        "id": module.device_id,
        "moduleId": module.module_id,
        "eTag": module.etag,
        "authentication": authentication(&module.authentication, with_keys),
    });
    if let Some(managed_by) = &module.managed_by {
        line["managedBy"] = json!(managed_by);
    }
    line
}

fn authentication(authentication: &Authentication, with_keys: bool) -> Value {
    authentication.to_json(with_keys)
}
