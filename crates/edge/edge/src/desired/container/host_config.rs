//! `HostConfig` of a module's container: mounts, log and privileges.

use std::path::{Component, Path, PathBuf};

use serde_json::{Map, Value, json};

use super::{DeviceContext, SOCKET_FOLDER, SOCKET_FOLDER_LINKED, object};
use crate::runtime::Mountpoint;

/// Completes `createOptions.HostConfig`. `folder` is mounted as the folder of the workload socket.
pub(super) fn complete(
    context: &DeviceContext,
    folder: &Path,
    host: &mut Map<String, Value>,
    warnings: &mut Vec<String>,
) {
    let mut mounts = list(host.remove("Mounts"));
    // A text in `Binds` would be split at the colon of a module named `sensor:1`.
    mounts.push(json!({
        "Type": "bind",
        "Source": folder.to_string_lossy(),
        "Target": SOCKET_FOLDER,
        "ReadOnly": true,
    }));
    host.insert("Mounts".to_owned(), Value::Array(mounts));
    // The agent restarts and removes containers itself. If the engine did too, the restart count
    // would be wrong.
    let none = json!({"Name": "no"});
    if let Some(own) = host.insert("RestartPolicy".to_owned(), none)
        && !matches!(own["Name"].as_str(), None | Some("" | "no"))
    {
        warnings.push(
            "createOptions.HostConfig.RestartPolicy has no effect: the module's restartPolicy \
             counts"
                .to_owned(),
        );
    }
    if host.remove("AutoRemove") == Some(json!(true)) {
        warnings.push(
            "createOptions.HostConfig.AutoRemove has no effect: the runtime removes containers \
             itself"
                .to_owned(),
        );
    }
    log_config(context.logging.as_ref(), host);
    if !context.elevated_permissions {
        without_privileges(host, warnings);
    }
}

/// The module's own LogConfig, else the deployment's `loggingOptions`, else the engine's default.
fn log_config(logging: Option<&Map<String, Value>>, host: &mut Map<String, Value>) {
    let is_empty = |log: &Map<String, Value>| {
        log.values()
            .all(|value| matches!(value, Value::Object(map) if map.is_empty()) || value == "")
    };
    let own = object(host.remove("LogConfig"));
    let log = Some(&own)
        .filter(|own| !is_empty(own))
        .or_else(|| logging.filter(|logging| !is_empty(logging)));
    if let Some(log) = log {
        host.insert("LogConfig".to_owned(), Value::Object(log.clone()));
    }
}

fn without_privileges(host: &mut Map<String, Value>, warnings: &mut Vec<String>) {
    let mut withheld = |what: &str| {
        warnings.push(format!(
            "createOptions.HostConfig.{what} is withheld: \
             allow_elevated_docker_permissions is false on this device"
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

/// The mounts of the options below the folder of the workload socket. That folder is mounted
/// read-only, so that the engine cannot create mountpoints in it.
pub(super) fn mountpoints(host: &Map<String, Value>) -> Vec<Mountpoint> {
    let binds = array(host.get("Binds"))
        .filter_map(|bind| bind.as_str()?.split_once(':'))
        .map(|(source, rest)| (source, rest.split(':').next().unwrap_or_default()));
    let mounts = array(host.get("Mounts")).filter_map(|mount| {
        let source = mount["Source"].as_str().unwrap_or_default();
        Some((source, mount["Target"].as_str()?))
    });
    let below = |target: &str| {
        let path = Path::new(target);
        // In most images /var/run is a link to /run.
        let inside = path
            .strip_prefix(SOCKET_FOLDER)
            .or_else(|_| path.strip_prefix(SOCKET_FOLDER_LINKED));
        let inside = inside.ok()?.to_owned();
        let plain = inside
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
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

fn list(value: Option<Value>) -> Vec<Value> {
    match value {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    }
}

fn array(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}
