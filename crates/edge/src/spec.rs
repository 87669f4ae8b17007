//! From a module's settings to the container that runs it. Pure.

use aws_lc_rs::digest::{SHA256, digest};
use ids::{DeviceId, GenerationId, HubHost, ModuleId};
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use wire::manifest::ModuleSettings;

use crate::runtime::ContainerSpec;

/// Azure's owner label, by which its tools find the containers of IoT Edge.
pub const OWNER_LABEL: &str = "net.azure-devices.edge.owner";
/// Its value.
pub const OWNER: &str = "Microsoft.Azure.Devices.Edge.Agent";
/// Root folder of the device that a container belongs to.
pub const ROOT_LABEL: &str = "muster.root";
/// Name of the device that a container belongs to.
pub const DEVICE_LABEL: &str = "muster.device";
/// Name of the module that a container runs.
pub const MODULE_LABEL: &str = "muster.module";
/// Digest of what the container was created from.
pub const DIGEST_LABEL: &str = "muster.digest";
/// Name of the image in the deployment.
pub(crate) const IMAGE_LABEL: &str = "net.azure-devices.edge.original-image";
/// Where a container finds the folder of its workload socket.
const SOCKET_FOLDER: &str = "/var/run/iotedge";

/// What all containers of a device have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The device's root folder.
    pub root: PathBuf,
    /// Begin of container names.
    pub name_prefix: String,
    /// The modules' network on the engine.
    pub network: String,
    /// The device in its hub.
    pub device: DeviceId,
    /// The hub.
    pub hub: HubHost,
    /// Whether deployments may ask for privileges.
    pub elevated_permissions: bool,
    /// `[agent.env]`.
    pub agent_env: Vec<(String, String)>,
}

/// Builds the container of a module. `folder` is what the container gets to see as `/var/run/iotedge`; `logging` is the
/// deployment's `loggingOptions`, a LogConfig.
#[must_use]
pub fn container(
    place: &Place,
    module: &ModuleId,
    settings: &ModuleSettings,
    generation: &GenerationId,
    folder: &std::path::Path,
    logging: Option<&Value>,
) -> ContainerSpec {
    let image = settings.image_reference();
    let mut body = settings.create_options.clone();
    let own_env = take(&mut body, "Env");
    body.insert(
        "Env".to_owned(),
        env(place, module, settings, generation, own_env.as_ref()),
    );
    body.insert("Image".to_owned(), json!(image));
    let mut labels = object(take(&mut body, "Labels"));
    for (label, value) in [
        (OWNER_LABEL, OWNER),
        (ROOT_LABEL, &place.root.to_string_lossy()),
        (DEVICE_LABEL, place.device.as_str()),
        (MODULE_LABEL, module.as_str()),
        (IMAGE_LABEL, &settings.image),
    ] {
        labels.insert(label.to_owned(), json!(value));
    }
    body.insert("Labels".to_owned(), Value::Object(labels));
    let mut host = object(take(&mut body, "HostConfig"));
    network(place, module, &mut body, &mut host);
    host_config(place, folder, logging, &mut host);
    body.insert("HostConfig".to_owned(), Value::Object(host));
    let name = container_name(place, module);
    let digest = digest_of(&json!([name, body]));
    body["Labels"][DIGEST_LABEL] = json!(digest);
    ContainerSpec {
        module: module.clone(),
        name,
        image,
        body: Value::Object(body),
        digest,
    }
}

/// Injected values give way to the module's `env`, and that to `createOptions.Env`.
fn env(
    place: &Place,
    module: &ModuleId,
    settings: &ModuleSettings,
    generation: &GenerationId,
    own: Option<&Value>,
) -> Value {
    let workload = format!("unix://{SOCKET_FOLDER}/workload.sock");
    let mut merged: Map<String, Value> = Map::new();
    let handed_on = ["RuntimeLogLevel", "UpstreamProtocol"];
    let agent = place
        .agent_env
        .iter()
        .filter(|(name, _)| handed_on.contains(&name.as_str()));
    merged.extend(agent.map(|(name, value)| (name.clone(), json!(value))));
    for (name, value) in [
        ("IOTEDGE_WORKLOADURI", workload.as_str()),
        ("IOTEDGE_AUTHSCHEME", "sasToken"),
        ("IOTEDGE_MODULEGENERATIONID", generation.as_str()),
        ("IOTEDGE_IOTHUBHOSTNAME", place.hub.as_str()),
        // As long as there is no edge hub on the device, modules speak to the hub itself.
        ("IOTEDGE_GATEWAYHOSTNAME", place.hub.as_str()),
        ("IOTEDGE_DEVICEID", place.device.as_str()),
        ("IOTEDGE_MODULEID", module.as_str()),
        ("IOTEDGE_APIVERSION", wire::local_api::API_VERSION),
    ] {
        merged.insert(name.to_owned(), json!(value));
    }
    merged.extend(
        settings
            .env
            .iter()
            .map(|(name, value)| (name.clone(), json!(value))),
    );
    let own = own
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    let mut bare = Vec::new();
    for item in own {
        match item.split_once('=') {
            Some((name, value)) => drop(merged.insert(name.to_owned(), json!(value))),
            // A name without value takes the image's variable away.
            None => bare.push(item.to_owned()),
        }
    }
    merged.retain(|name, _| !bare.contains(name));
    let pairs = merged
        .iter()
        .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()));
    json!(pairs.chain(bare).collect::<Vec<_>>())
}

/// Modules find each other by name, unless their createOptions choose a network of their own.
fn network(
    place: &Place,
    module: &ModuleId,
    body: &mut Map<String, Value>,
    host: &mut Map<String, Value>,
) {
    let own = take(body, "NetworkingConfig")
        .filter(|own| own.as_object().is_some_and(|map| !map.is_empty()));
    let own_mode =
        take(host, "NetworkMode").filter(|mode| mode.as_str().is_some_and(|text| !text.is_empty()));
    match (own, own_mode) {
        (None, None) => {
            host.insert("NetworkMode".to_owned(), json!(place.network));
            let endpoint = json!({"Aliases": [module.as_str()]});
            body.insert(
                "NetworkingConfig".to_owned(),
                json!({"EndpointsConfig": {place.network.as_str(): endpoint}}),
            );
        }
        (own, mode) => {
            body.extend(own.map(|own| ("NetworkingConfig".to_owned(), own)));
            host.extend(mode.map(|mode| ("NetworkMode".to_owned(), mode)));
        }
    }
}

fn host_config(
    place: &Place,
    folder: &std::path::Path,
    logging: Option<&Value>,
    host: &mut Map<String, Value>,
) {
    let mut binds = match take(host, "Binds") {
        Some(Value::Array(binds)) => binds,
        _ => Vec::new(),
    };
    binds.push(json!(format!("{}:{SOCKET_FOLDER}:ro", folder.display())));
    host.insert("Binds".to_owned(), Value::Array(binds));
    // The agent restarts modules itself; two restarters would count wrongly.
    take(host, "RestartPolicy");
    host.insert("RestartPolicy".to_owned(), json!({"Name": "no"}));
    let log = take(host, "LogConfig").or_else(|| logging.cloned());
    // Without limits a chatty module fills the disk.
    let limited = || json!({"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}});
    host.insert("LogConfig".to_owned(), log.unwrap_or_else(limited));
    if !place.elevated_permissions {
        without_privileges(host);
    }
}

fn without_privileges(host: &mut Map<String, Value>) {
    take(host, "Privileged");
    host.insert("Privileged".to_owned(), json!(false));
    let asked = match take(host, "CapAdd") {
        Some(Value::Array(asked)) => asked,
        _ => Vec::new(),
    };
    let mut drop = match take(host, "CapDrop") {
        Some(Value::Array(drop)) => drop,
        _ => Vec::new(),
    };
    for capability in ["CHOWN", "SETUID"] {
        if !asked.contains(&json!(capability)) && !drop.contains(&json!(capability)) {
            drop.push(json!(capability));
        }
    }
    host.insert("CapDrop".to_owned(), Value::Array(drop));
}

/// Docker allows `[a-zA-Z0-9][a-zA-Z0-9_.-]*`; a module name with other characters gets a digest, so that two never meet.
fn container_name(place: &Place, module: &ModuleId) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let name = module.as_str();
    let clean: String = name
        .chars()
        .map(|c| if allowed(c) { c } else { '_' })
        .collect();
    let clean = clean.trim_start_matches(['_', '.', '-']);
    if clean == name {
        return format!("{}{name}", place.name_prefix);
    }
    let tail = &digest_of(&json!(name))[..8];
    format!("{}{}{tail}", place.name_prefix, clean.to_owned() + "-")
}

/// Docker reads member names in any case; takes the member out, however it is written.
fn take(map: &mut Map<String, Value>, name: &str) -> Option<Value> {
    let key = map
        .keys()
        .find(|key| key.eq_ignore_ascii_case(name))?
        .clone();
    map.remove(&key).filter(|value| !value.is_null())
}

fn object(value: Option<Value>) -> Map<String, Value> {
    match value {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

/// SHA-256 of the JSON with its members in alphabetical order: hubs may reorder members.
fn digest_of(value: &Value) -> String {
    let mut text = String::new();
    canonical(value, &mut text);
    digest(&SHA256, text.as_bytes())
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut members: Vec<_> = map.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            out.push('{');
            for (name, inner) in members {
                out.push_str(&json!(name).to_string());
                out.push(':');
                canonical(inner, out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for inner in items {
                canonical(inner, out);
                out.push(',');
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

#[cfg(test)]
mod tests;
