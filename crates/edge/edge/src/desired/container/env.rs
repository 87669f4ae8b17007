//! The environment of a module's container.

use serde_json::{Map, Value, json};

use super::{DeviceContext, ModuleInstance, SOCKET_FOLDER};

/// The container's environment: the variables of IoT Edge, replaced by the module's
/// `env`, replaced by `createOptions.Env`.
pub(super) fn env(
    context: &DeviceContext,
    instance: &ModuleInstance<'_>,
    own: Option<&Value>,
) -> Value {
    let workload = format!("unix://{SOCKET_FOLDER}/workload.sock");
    let mut merged: Map<String, Value> = Map::new();
    let passed_on = ["RuntimeLogLevel", "UpstreamProtocol"];
    let agent = context
        .agent_env
        .iter()
        .filter(|(name, _)| passed_on.contains(&name.as_str()));
    merged.extend(agent.map(|(name, value)| (name.clone(), json!(value))));
    for (name, value) in [
        ("IOTEDGE_WORKLOADURI", workload.as_str()),
        ("IOTEDGE_AUTHSCHEME", "sasToken"),
        ("IOTEDGE_MODULEGENERATIONID", instance.generation.as_str()),
        ("IOTEDGE_IOTHUBHOSTNAME", context.hub.as_str()),
        // Without an edge hub on the device, modules connect to the hub itself.
        ("IOTEDGE_GATEWAYHOSTNAME", context.hub.as_str()),
        ("IOTEDGE_DEVICEID", context.device.as_str()),
        ("IOTEDGE_MODULEID", instance.module.as_str()),
        ("IOTEDGE_APIVERSION", wire::edge_api::local::API_VERSION),
    ] {
        merged.insert(name.to_owned(), json!(value));
    }
    merged.extend(
        instance
            .settings
            .env
            .iter()
            .map(|(name, value)| (name.clone(), json!(value))),
    );
    let own = own
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    let mut removed = Vec::new();
    for item in own {
        match item.split_once('=') {
            Some((name, value)) => drop(merged.insert(name.to_owned(), json!(value))),
            // A name without a value removes the image's variable.
            None => removed.push(item.to_owned()),
        }
    }
    merged.retain(|name, _| !removed.contains(name));
    let pairs = merged
        .iter()
        .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()));
    json!(pairs.chain(removed).collect::<Vec<_>>())
}
