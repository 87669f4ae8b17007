//! `POST /devices` and `POST /devices/keys/regenerate`: changes of many identities in one request.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use ids::{DeviceId, Identity, ModuleId};
use registry::Right;
use rest::{Reply, post};
use serde_json::Value;
use wire::service_api::import_device::{ImportDevice, ImportError, bulk_items, bulk_result};
use wire::service_api::key_rotation::{
    KeyRotation, RotatedKey, RotatedKeys, RotationTarget, rotation_result,
};

use super::access::Access;
use super::{Call, Route, acting, json};
use crate::error::HubError;
use crate::import_view::failed;

/// 100 devices, each with a twin as large as twins may be.
const MAX_BULK_BODY: usize = 8 * 1024 * 1024;

pub(super) fn routes() -> Vec<Route> {
    let writes = Access::AnyOf(&[Right::RegistryWrite]);
    vec![
        post("/devices", writes, bulk).body_limit(MAX_BULK_BODY),
        post("/devices/keys/regenerate", writes, regenerate),
    ]
}

/// Items are carried out in the order given, each on its own: one that fails stops none of the
/// others.
async fn bulk(call: Call) -> Result<Reply, HubError> {
    let body = json(&call)?;
    let items = bulk_items(&body)?;
    let mut named = BTreeSet::new();
    let outcomes = items.iter().map(|item| {
        let text = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
        let id = (text("id"), text("moduleId"));
        let repeated = !named.insert(id.clone());
        let call = &call;
        async move {
            let (operation, error) = match (ImportDevice::parse(item), repeated) {
                (Err(error), _) => (None, HubError::from(error)),
                (Ok(item), true) => (Some(item.mode.name()), HubError::Repeated),
                (Ok(item), false) => {
                    let operation = item.mode.name();
                    let (hub, now) = (call.permit.hub(), call.service.now());
                    let error = acting(call).import(hub, item, now).await.err()?;
                    (Some(operation), HubError::from(error))
                }
            };
            Some(failed(id, &error, operation))
        }
    });
    // The units reach the writer in this order, and share its transactions.
    let outcomes = join_all(outcomes).await;
    let errors: Vec<_> = outcomes.into_iter().flatten().collect();
    let (hub, devices) = (call.permit.hub(), items.len());
    tracing::info!(hub.name = %hub, devices, errors = errors.len(), "devices written in bulk");
    let status = if errors.is_empty() { 200 } else { 400 };
    Ok(Reply::json(&bulk_result(&errors)).with_status(status))
}

/// 200 when every identity got its keys, 207 when some did, 400 when none did.
async fn regenerate(call: Call) -> Result<Reply, HubError> {
    let body: Value = json(&call)?;
    let request = KeyRotation::parse(&body)?;
    let mut named = BTreeSet::new();
    let rotations = request.targets.iter().map(|target| {
        // Of two pairs of keys, one would be answered and not be stored.
        let repeated = !named.insert((target.device, target.module));
        rotate(&call, request.key, target, repeated)
    });
    let (mut rotated, mut errors) = (Vec::new(), Vec::new());
    for outcome in join_all(rotations).await {
        match outcome {
            Ok(keys) => rotated.push(keys),
            Err(error) => errors.push(error),
        }
    }
    let status = match (rotated.is_empty(), errors.is_empty()) {
        (_, true) => 200,
        (false, false) => 207,
        (true, false) => 400,
    };
    let result = rotation_result(request.key, &rotated, &errors);
    Ok(Reply::json(&result).with_status(status))
}

async fn rotate(
    call: &Call,
    key: RotatedKey,
    target: &RotationTarget<'_>,
    repeated: bool,
) -> Result<RotatedKeys, ImportError> {
    let rotation = async {
        if repeated {
            return Err(HubError::Repeated);
        }
        let module = target.module.map(ModuleId::parse).transpose();
        let identity = Identity {
            hub: call.permit.hub().clone(),
            device: DeviceId::parse(target.device).map_err(rest::RequestError::from)?,
            module: module.map_err(rest::RequestError::from)?,
        };
        Ok(acting(call).rotate_keys(&identity, key).await?)
    };
    let id = target.device.to_owned();
    let module = target.module.map(str::to_owned);
    match rotation.await {
        Ok((primary_key, secondary_key)) => Ok(RotatedKeys {
            id,
            module_id: module,
            primary_key,
            secondary_key,
        }),
        Err(error) => Err(failed((id, module.unwrap_or_default()), &error, None)),
    }
}
