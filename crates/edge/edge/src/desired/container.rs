//! From a module's settings to the container that runs it. Pure.

use aws_lc_rs::digest::{SHA256, digest};
use ids::{DeviceId, GenerationId, HubHost, ModuleId};
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use wire::edge_api::manifest::ModuleSettings;

use crate::runtime::{ContainerSpec, Mountpoint};

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
/// createOptions of the deployment, without the values of the environment.
pub(crate) const CREATE_OPTIONS_LABEL: &str = "net.azure-devices.edge.create-options";
/// Where a container finds the folder of its workload socket.
const SOCKET_FOLDER: &str = "/var/run/iotedge";
const SOCKET_FOLDER_LINKED: &str = "/run/iotedge";

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
    logging: Option<&Map<String, Value>>,
) -> ContainerSpec {
    let image = settings.image_reference();
    let mut warnings: Vec<String> = settings
        .create_options
        .unknown()
        .iter()
        .map(|path| format!("createOptions.{path} is no member that the container engine is known to take; it was handed on as it is"))
        .collect();
    let mut body = settings.create_options.body().clone();
    let own_env = body.remove("Env");
    body.insert(
        "Env".to_owned(),
        env(place, module, settings, generation, own_env.as_ref()),
    );
    if let Some(other) = body.insert("Image".to_owned(), json!(image))
        && other != json!(image)
    {
        warnings.push("createOptions.Image has no effect: settings.image counts".to_owned());
    }
    let mut labels = object(body.remove("Labels"));
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
    let mut host = object(body.remove("HostConfig"));
    network(place, module, &mut body, &mut host);
    let mountpoints = mountpoints(&host);
    host_config(place, folder, logging, &mut host, &mut warnings);
    body.insert("HostConfig".to_owned(), Value::Object(host));
    let name = container_name(place, module);
    // The version is for people; changing it is how they ask for a new container, and with it for a pull.
    let digest = digest_of(&json!([name, body, settings.version]));
    body["Labels"][DIGEST_LABEL] = json!(digest);
    // For reports; how the options are spelled is no difference.
    let options = Value::Object(settings.create_options.without_values()).to_string();
    body["Labels"][CREATE_OPTIONS_LABEL] = json!(options);
    ContainerSpec {
        module: module.clone(),
        name,
        image,
        body: Value::Object(body),
        digest,
        mountpoints,
        warnings,
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
        ("IOTEDGE_APIVERSION", wire::edge_api::local::API_VERSION),
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
    let own = body
        .get("NetworkingConfig")
        .and_then(|own| own["EndpointsConfig"].as_object())
        .is_some_and(|endpoints| !endpoints.is_empty());
    let own_mode = host
        .get("NetworkMode")
        .is_some_and(|mode| mode.as_str().is_some_and(|text| !text.is_empty()));
    if own || own_mode {
        return;
    }
    host.insert("NetworkMode".to_owned(), json!(place.network));
    let endpoint = json!({"Aliases": [module.as_str()]});
    body.insert(
        "NetworkingConfig".to_owned(),
        json!({"EndpointsConfig": {place.network.as_str(): endpoint}}),
    );
}

/// What the options mount below the folder of the workload socket. That folder is mounted read-only, so that the engine
/// can make no place for a mount in it.
fn mountpoints(host: &Map<String, Value>) -> Vec<Mountpoint> {
    let binds = array(host.get("Binds"))
        .filter_map(|bind| bind.as_str()?.split_once(':'))
        .map(|(source, rest)| (source, rest.split(':').next().unwrap_or_default()));
    let mounts = array(host.get("Mounts")).filter_map(|mount| {
        let source = mount["Source"].as_str().unwrap_or_default();
        Some((source, mount["Target"].as_str()?))
    });
    let below = |target: &str| {
        let path = std::path::Path::new(target);
        // In most images /var/run is a link to /run.
        let inside = path
            .strip_prefix(SOCKET_FOLDER)
            .or_else(|_| path.strip_prefix(SOCKET_FOLDER_LINKED));
        let inside = inside.ok()?.to_owned();
        let plain = inside
            .components()
            .all(|part| matches!(part, std::path::Component::Normal(_)));
        (plain && inside.components().next().is_some()).then_some(inside)
    };
    let all = binds.chain(mounts);
    all.filter_map(|(source, target)| {
        Some(Mountpoint {
            inside: below(target)?,
            source: PathBuf::from(source),
        })
    })
    .collect()
}

fn host_config(
    place: &Place,
    folder: &std::path::Path,
    logging: Option<&Map<String, Value>>,
    host: &mut Map<String, Value>,
    warnings: &mut Vec<String>,
) {
    let mut mounts = list(host.remove("Mounts"));
    // A bind text would be split at the colon of a module that is called `sensor:1`.
    mounts.push(json!({
        "Type": "bind",
        "Source": folder.to_string_lossy(),
        "Target": SOCKET_FOLDER,
        "ReadOnly": true,
    }));
    host.insert("Mounts".to_owned(), Value::Array(mounts));
    // The agent restarts and removes modules itself; two would count wrongly.
    let none = json!({"Name": "no"});
    if let Some(own) = host.insert("RestartPolicy".to_owned(), none)
        && !matches!(own["Name"].as_str(), None | Some("" | "no"))
    {
        warnings.push(
            "createOptions.HostConfig.RestartPolicy has no effect: the module's restartPolicy counts"
                .to_owned(),
        );
    }
    if host.remove("AutoRemove") == Some(json!(true)) {
        warnings.push(
            "createOptions.HostConfig.AutoRemove has no effect: the runtime removes containers itself"
                .to_owned(),
        );
    }
    let says_nothing = |log: &Map<String, Value>| {
        log.values()
            .all(|value| matches!(value, Value::Object(map) if map.is_empty()) || value == "")
    };
    let own = object(host.remove("LogConfig"));
    let log = Some(&own)
        .filter(|own| !says_nothing(own))
        .or_else(|| logging.filter(|logging| !says_nothing(logging)));
    if let Some(log) = log {
        host.insert("LogConfig".to_owned(), Value::Object(log.clone()));
    }
    if !place.elevated_permissions {
        without_privileges(host, warnings);
    }
}

fn without_privileges(host: &mut Map<String, Value>, warnings: &mut Vec<String>) {
    let mut withheld = |what: &str| {
        warnings.push(format!(
            "createOptions.HostConfig.{what} is withheld: allow_elevated_docker_permissions is false on this device"
        ));
    };
    if host.insert("Privileged".to_owned(), json!(false)) == Some(json!(true)) {
        withheld("Privileged");
    }
    let asked = list(host.remove("CapAdd"));
    if !asked.is_empty() {
        withheld("CapAdd");
    }
    let mut drop = list(host.remove("CapDrop"));
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

fn object(value: Option<Value>) -> Map<String, Value> {
    match value {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

fn list(value: Option<Value>) -> Vec<Value> {
    match value {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    }
}

fn array(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

/// SHA-256 of the JSON with its members in alphabetical order: hubs may reorder members.
pub(crate) fn digest_of(value: &Value) -> String {
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
