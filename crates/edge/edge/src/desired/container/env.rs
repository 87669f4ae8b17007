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
    let agent = context.agent_env.iter();
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
    let own: Vec<&str> = own
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    // A module that says something about a proxy says all about it, in whichever letter case.
    let names = own
        .iter()
        .map(|item| item.split('=').next().unwrap_or_default());
    for name in names.chain(instance.settings.env.keys().map(String::as_str)) {
        let inherited = |(agent, _): &&(String, String)| agent.eq_ignore_ascii_case(name);
        for (agent, _) in context.agent_env.iter().filter(inherited) {
            merged.shift_remove(agent);
        }
    }
    merged.extend(
        instance
            .settings
            .env
            .iter()
            .map(|(name, value)| (name.clone(), json!(value))),
    );
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
