//! The container that runs a module, made from the module's settings. Pure.

mod digest;
mod env;
mod host_config;

use std::path::{Path, PathBuf};

use ids::{DeviceId, GenerationId, HubHost, ModuleId};
use serde_json::{Map, Value, json};
use wire::edge_api::manifest::{CreateOptions, ModuleSettings};

use crate::runtime::ContainerSpec;
pub(crate) use digest::digest_of;

/// Azure's owner label, by which its tools find the containers of IoT Edge.
pub const OWNER_LABEL: &str = "net.azure-devices.edge.owner";
/// The value of [`OWNER_LABEL`].
pub const OWNER: &str = "Microsoft.Azure.Devices.Edge.Agent";
/// The root folder of the device that a container belongs to.
pub const ROOT_LABEL: &str = "muster.root";
/// The id of the device that a container belongs to.
pub const DEVICE_LABEL: &str = "muster.device";
/// The name of the module that a container runs.
pub const MODULE_LABEL: &str = "muster.module";
pub const DIGEST_LABEL: &str = "muster.digest";
/// The image as the deployment names it.
pub(crate) const IMAGE_LABEL: &str = "net.azure-devices.edge.original-image";
/// createOptions of the deployment, without the values of the environment.
pub(crate) const CREATE_OPTIONS_LABEL: &str = "net.azure-devices.edge.create-options";
/// The folder of the workload socket, as a container sees it.
const SOCKET_FOLDER: &str = "/var/run/iotedge";
/// The same folder where `/var/run` is a link to `/run`.
const SOCKET_FOLDER_LINKED: &str = "/run/iotedge";

/// What all containers of a device have in common.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceContext {
    /// The root folder of the device.
    pub root: PathBuf,
    /// The start of container names.
    pub name_prefix: String,
    /// The network of the modules on the engine.
    pub network: String,
    pub device: DeviceId,
    pub hub: HubHost,
    /// Whether deployments may ask for privileges.
    pub elevated_permissions: bool,
    /// Variables of the agent that modules get too, unless they have their own.
    pub agent_env: Vec<(String, String)>,
    /// The deployment's `loggingOptions`, a LogConfig of the engine.
    pub logging: Option<Map<String, Value>>,
}

/// A module with an identity on the hub.
#[derive(Debug, Clone, Copy)]
pub struct ModuleInstance<'a> {
    pub module: &'a ModuleId,
    pub settings: &'a ModuleSettings,
    /// Those of `settings`.
    pub options: &'a CreateOptions,
    pub generation: &'a GenerationId,
    /// The folder that the container sees as `/var/run/iotedge`.
    pub folder: &'a Path,
}

/// Makes the container of a module.
#[must_use]
pub fn container(context: &DeviceContext, instance: &ModuleInstance<'_>) -> ContainerSpec {
    let ModuleInstance {
        module,
        settings,
        options,
        folder,
        ..
    } = *instance;
    let image = settings.image_reference();
    let mut warnings = unknown_members(options);
    let mut body = options.body().clone();
    let own_env = body.remove("Env");
    let env = env::env(context, instance, own_env.as_ref());
    body.insert("Env".to_owned(), env);
    if let Some(other) = body.insert("Image".to_owned(), json!(image))
        && other != json!(image)
    {
        warnings.push("createOptions.Image has no effect: settings.image counts".to_owned());
    }
    let mut labels = object(body.remove("Labels"));
    for (label, value) in [
        (OWNER_LABEL, OWNER),
        (ROOT_LABEL, &context.root.to_string_lossy()),
        (DEVICE_LABEL, context.device.as_str()),
        (MODULE_LABEL, module.as_str()),
        (IMAGE_LABEL, &settings.image),
    ] {
        labels.insert(label.to_owned(), json!(value));
    }
    body.insert("Labels".to_owned(), Value::Object(labels));
    let mut host = object(body.remove("HostConfig"));
    network(context, module, &mut body, &mut host);
    let mountpoints = host_config::mountpoints(&host);
    host_config::complete(context, folder, &mut host, &mut warnings);
    body.insert("HostConfig".to_owned(), Value::Object(host));
    let name = container_name(context, module);
    // The version has no meaning for the engine. Another version is how people ask for a new
    // container, and with it for a pull.
    let digest = digest_of(&json!([name, body, settings.version]));
    body["Labels"][DIGEST_LABEL] = json!(digest);
    // For reports. It is not part of the digest, because another spelling is no change.
    let given = Value::Object(options.without_values()).to_string();
    body["Labels"][CREATE_OPTIONS_LABEL] = json!(given);
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

fn unknown_members(options: &CreateOptions) -> Vec<String> {
    let paths = options.unknown().iter();
    paths
        .map(|path| {
            format!(
                "createOptions.{path} is no member that the container engine is known to take; \
                 it was handed on as it is"
            )
        })
        .collect()
}

/// Puts the container on the modules' network, where modules find each other by name, unless its
/// createOptions choose another network.
fn network(
    context: &DeviceContext,
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
    host.insert("NetworkMode".to_owned(), json!(context.network));
    let endpoint = json!({"Aliases": [module.as_str()]});
    body.insert(
        "NetworkingConfig".to_owned(),
        json!({"EndpointsConfig": {context.network.as_str(): endpoint}}),
    );
}

/// Docker allows `[a-zA-Z0-9][a-zA-Z0-9_.-]*`. A module name with other characters gets a digest,
/// so that no two modules get the same container name.
fn container_name(context: &DeviceContext, module: &ModuleId) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let name = module.as_str();
    let clean: String = name
        .chars()
        .map(|c| if allowed(c) { c } else { '_' })
        .collect();
    let clean = clean.trim_start_matches(['_', '.', '-']);
    if clean == name {
        return format!("{}{name}", context.name_prefix);
    }
    let tail = &digest_of(&json!(name))[..8];
    format!("{}{}{tail}", context.name_prefix, clean.to_owned() + "-")
}

fn object(value: Option<Value>) -> Map<String, Value> {
    match value {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests;
